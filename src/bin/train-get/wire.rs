//! Cars, read and written. Whatever a server may send ends here in a value or in a named error.
//!
//! `tests/fuzz` includes this file as it is, so it names its neighbours by `super`.

use std::io::{self, Read, Write};

use trainyard::train::{CAR_DATA_MAX, CAR_HEAD_SIZE, SIZE_OF_FOLDER};

use super::failure::Failure;

/// Bytes of the size car: size u64, mtime_ns i64.
const SIZE_CAR_LEN: usize = 16;
/// Bytes of the size car of a push listener, which answers nobody's question.
const SIZE_CAR_LEN_PUSH: usize = 8;

/// One car as it came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Car<'a> {
    /// 1 to `CAR_DATA_MAX` bytes.
    Data(&'a [u8]),
    /// The train is whole.
    End,
}

/// The first two cars of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// As sent: not to be trusted with a path before `names::check_name`.
    pub(crate) name: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
}

impl Answer {
    /// Whether what follows is a listing. `read_answer` made sure that name and size agree on it.
    pub(crate) fn is_folder(&self) -> bool {
        self.size == SIZE_OF_FOLDER
    }
}

/// Reads cars from `stream`, which should be buffered: a car takes two reads.
pub(crate) struct CarReader<R> {
    stream: R,
    data: Box<[u8; CAR_DATA_MAX]>,
}

impl<R: Read> CarReader<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self {
            stream,
            data: Box::new([0; CAR_DATA_MAX]),
        }
    }

    /// What the cars come from, to be written to between answers.
    pub(crate) fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The next car. An error car is the failure that it names.
    pub(crate) fn next_car(&mut self) -> Result<Car<'_>, Failure> {
        let mut head = [0; CAR_HEAD_SIZE];
        self.stream.read_exact(&mut head).map_err(Failure::Lost)?;
        let data_len = i32::from_le_bytes(head);
        if data_len < 0 {
            return Err(Failure::Answer(data_len.unsigned_abs()));
        }
        if data_len == 0 {
            return Ok(Car::End);
        }
        let data = usize::try_from(data_len)
            .ok()
            .and_then(|len| self.data.get_mut(..len));
        let Some(data) = data else {
            return Err(Failure::Malformed(format!(
                "a car of {data_len} bytes, over {CAR_DATA_MAX}"
            )));
        };
        self.stream.read_exact(data).map_err(Failure::Lost)?;
        Ok(Car::Data(data))
    }

    /// The name and size cars. Only an error before the first of them is whole leaves `started` false.
    pub(crate) fn read_answer(&mut self, started: &mut bool) -> Result<Answer, Failure> {
        let name = match self.next_car()? {
            Car::Data(name) => name.to_vec(),
            Car::End => return Err(Failure::Malformed("an end car in place of the name".into())),
        };
        *started = true;
        let Car::Data(numbers) = self.next_car()? else {
            return Err(Failure::Malformed("an end car in place of the size".into()));
        };
        let Ok(numbers) = <[u8; SIZE_CAR_LEN]>::try_from(numbers) else {
            let hint = match numbers.len() {
                SIZE_CAR_LEN_PUSH => ": a push listener, which sends its one file unasked?",
                _ => "",
            };
            let len = numbers.len();
            return Err(Failure::Malformed(format!(
                "a size car of {len} bytes, not {SIZE_CAR_LEN}{hint}"
            )));
        };
        let numbers = u128::from_le_bytes(numbers);
        let answer = Answer {
            name,
            size: numbers as u64,
            mtime_ns: (numbers >> 64) as i64,
        };
        if answer.name.ends_with(b"/") != answer.is_folder() {
            return Err(Failure::Malformed(
                "name and size differ on whether it is a folder".into(),
            ));
        }
        Ok(answer)
    }
}

/// Asks for `path` from `offset` to its end, in one write.
pub(crate) fn write_request(stream: &mut impl Write, path: &[u8], offset: u64) -> io::Result<()> {
    let mut request = Vec::with_capacity(path.len() + 5 * CAR_HEAD_SIZE);
    push_car(&mut request, path);
    if offset > 0 {
        push_car(&mut request, &offset.to_le_bytes());
    }
    push_car(&mut request, b""); // the end car
    stream.write_all(&request)
}

fn push_car(train: &mut Vec<u8>, data: &[u8]) {
    assert!(
        data.len() <= CAR_DATA_MAX,
        "paths are measured before they get here"
    );
    train.extend_from_slice(&(data.len() as u32).to_le_bytes());
    train.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_to(bytes: &[u8]) -> Result<Answer, Failure> {
        CarReader::new(bytes).read_answer(&mut false)
    }

    fn train(cars: &[&[u8]]) -> Vec<u8> {
        let mut train = Vec::new();
        cars.iter().for_each(|car| push_car(&mut train, car));
        train
    }

    #[test]
    fn a_request_to_the_byte() {
        let mut sent = Vec::new();
        write_request(&mut sent, b"ab", 0).unwrap();
        assert_eq!(sent, b"\x02\0\0\0ab\0\0\0\0");
        sent.clear();
        write_request(&mut sent, b"ab", 0x0102_0304_0506).unwrap();
        assert_eq!(
            sent,
            b"\x02\0\0\0ab\x08\0\0\0\x06\x05\x04\x03\x02\x01\0\0\0\0\0\0"
        );
    }

    #[test]
    fn an_answer_past_4_gib_and_before_1970() {
        let mut numbers = (5u64 << 30).to_le_bytes().to_vec();
        numbers.extend((-7i64).to_le_bytes());
        let answer = answer_to(&train(&[b"file", &numbers])).unwrap();
        assert_eq!(
            answer,
            Answer {
                name: b"file".to_vec(),
                size: 5 << 30,
                mtime_ns: -7
            }
        );
    }

    #[test]
    fn cars_that_no_server_may_send() {
        let folder = [&[255; 8][..], &[0; 8]].concat();
        for (train, expected) in [
            (train(&[b""]), "in place of the name"),
            (train(&[b"a", b""]), "in place of the size"),
            (train(&[b"a", &[0; 15]]), "15 bytes"),
            (train(&[b"a", &[0; 8]]), "push listener"),
            (train(&[b"a", &folder]), "differ"),
            (train(&[b"a/", &[0; 16]]), "differ"),
            (1001i32.to_le_bytes().to_vec(), "1001 bytes"),
            (i32::MAX.to_le_bytes().to_vec(), "2147483647 bytes"),
        ] {
            let failure = answer_to(&train).unwrap_err();
            assert!(matches!(failure, Failure::Malformed(_)), "{failure}");
            assert!(failure.to_string().contains(expected), "{failure}");
        }
    }

    #[test]
    fn every_cut_is_a_lost_connection() {
        let whole = train(&[b"name", &[1; 16]]);
        for len in 0..whole.len() {
            assert!(
                matches!(answer_to(&whole[..len]), Err(Failure::Lost(_))),
                "{len}"
            );
        }
    }

    #[test]
    fn error_cars_of_any_number() {
        for (number, expected) in [(-2, 2), (-11, 11), (i32::MIN, 1 << 31)] {
            let mut bytes = Vec::new();
            bytes.extend(i32::to_le_bytes(number));
            assert!(matches!(answer_to(&bytes), Err(Failure::Answer(errno)) if errno == expected));
        }
    }
}
