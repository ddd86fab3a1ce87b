//! What train-get makes of whatever a server sends: as a plain reading of it says, however it comes, and no
//! name leads out of a folder.

use std::io::{self, Read};
use std::path::{Component, Path};

use trainyard::train::{CAR_DATA_MAX, REQUEST_SIZE_MAX, SIZE_OF_FOLDER, parse};

#[path = "../../../src/bin/train-get/failure.rs"]
#[expect(dead_code, reason = "the client has more ways to fail than its reader")]
#[expect(
    clippy::disallowed_types,
    reason = "std::io::Error is banned from the server only"
)]
mod failure;
#[path = "../../../src/bin/train-get/listing.rs"]
mod listing;
#[path = "../../../src/bin/train-get/names.rs"]
mod names;
#[path = "../../../src/bin/train-get/wire.rs"]
mod wire;

use failure::Failure;
use listing::{Kind, Splitter};
use names::{ID_END, PART_END, check_name, name_beside};
use wire::{Car, CarReader, write_request};

/// The first byte is how many bytes come at once; the others are what a server sends, also as a listing,
/// as a name, and as a path to ask for.
pub(crate) fn check(bytes: &[u8]) {
    let Some((&piece_len, sent)) = bytes.split_first() else {
        return;
    };
    let piece_len = usize::from(piece_len).max(1);
    let trickle = Trickle { sent, piece_len };
    let mut reader = CarReader::new(trickle);
    answer(&mut reader, sent);
    let mut reader = CarReader::new(Trickle { sent, piece_len });
    cars(&mut reader, sent);
    let whole = entries(&[sent]);
    let pieces: Vec<&[u8]> = sent.chunks(piece_len).collect();
    assert_eq!(entries(&pieces), whole);
    as_read_plainly(sent, &whole);
    name(sent);
    request(sent, piece_len as u64);
}

/// Gives a few bytes at a time, as a network may.
struct Trickle<'a> {
    sent: &'a [u8],
    piece_len: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(self.piece_len);
        self.sent.read(&mut buffer[..len])
    }
}

/// The next car by a plain reading: its data, none at the end; what else it is as an error.
fn plain_car<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Option<u32>> {
    let (head, behind) = rest.split_first_chunk().ok_or(None)?;
    match i32::from_le_bytes(*head) {
        number @ ..0 => Err(Some(number.unsigned_abs())),
        len => {
            let len = usize::try_from(len).expect("it is not negative");
            let data = behind.get(..len).filter(|_| len <= CAR_DATA_MAX);
            *rest = &behind[data.map_or(0, <[u8]>::len)..];
            data.ok_or(None)
        }
    }
}

fn cars(reader: &mut CarReader<Trickle<'_>>, sent: &[u8]) {
    let mut rest = sent;
    loop {
        let expected = plain_car(&mut rest);
        match reader.next_car() {
            Ok(Car::Data(data)) => assert_eq!(Ok(data), expected),
            Ok(Car::End) => return assert_eq!(Ok(&[][..]), expected),
            Err(Failure::Answer(errno)) => return assert_eq!(Err(Some(errno)), expected),
            Err(Failure::Lost(_) | Failure::Malformed(_)) => {
                return assert_eq!(Err(None), expected);
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(reader.stream().sent, rest, "it has read no further");
    }
}

fn answer(reader: &mut CarReader<Trickle<'_>>, sent: &[u8]) {
    let mut started = false;
    let read = reader.read_answer(&mut started);
    let mut rest = sent;
    let name = plain_car(&mut rest);
    assert_eq!(started, name.is_ok_and(|name| !name.is_empty()));
    let Ok(answer) = read else {
        return;
    };
    assert_eq!(Ok(&answer.name[..]), name);
    let numbers = [
        answer.size.to_le_bytes(),
        answer.mtime_ns.cast_unsigned().to_le_bytes(),
    ];
    assert_eq!(plain_car(&mut rest), Ok(&numbers.concat()[..]));
    assert_eq!(answer.is_folder(), answer.name.ends_with(b"/"));
    assert_eq!(answer.is_folder(), answer.size == SIZE_OF_FOLDER);
    assert_eq!(reader.stream().sent, rest, "it has read no further");
}

type Entries = (Vec<(bool, u64, i64, Vec<u8>)>, bool);

/// The entries of a listing that comes in these pieces, and whether it is whole.
fn entries(pieces: &[&[u8]]) -> Entries {
    let mut found = Vec::new();
    let mut splitter = Splitter::default();
    for piece in pieces {
        let taken = splitter.push(piece, |entry| {
            let is_folder = entry.kind == Kind::Folder;
            found.push((is_folder, entry.size, entry.mtime_ns, entry.name.to_vec()));
            Ok(())
        });
        if taken.is_err() {
            return (found, false);
        }
    }
    (found, splitter.finish().is_ok())
}

fn as_read_plainly(sent: &[u8], (found, is_whole): &Entries) {
    let mut lines = sent.split(|byte| *byte == 0);
    for ((is_folder, size, mtime_ns, name), line) in found.iter().zip(&mut lines) {
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let kind = if *is_folder { b"d" } else { b"f" };
        assert_eq!(fields.next(), Some(&kind[..]));
        let mut number = || str::from_utf8(fields.next()?).ok()?.parse::<i128>().ok();
        assert_eq!(number(), Some(i128::from(*size)));
        assert_eq!(number(), Some(i128::from(*mtime_ns)));
        assert_eq!(fields.next(), Some(&name[..]));
    }
    let rest: Vec<&[u8]> = lines.collect();
    assert_eq!(*is_whole, rest == [b""], "what follows is an empty rest");
}

fn name(bytes: &[u8]) {
    let Ok(name) = check_name(bytes) else {
        return;
    };
    let mut components = Path::new(name).components();
    assert_eq!(components.next(), Some(Component::Normal(name)));
    assert_eq!(components.next(), None);
    for end in [PART_END, ID_END] {
        let beside = name_beside(name, end);
        assert!(beside.len() <= 255 && beside != name);
        let beside = beside.as_encoded_bytes();
        let dotted = [beside, b"."].concat();
        for same in [beside, &beside.to_ascii_uppercase(), &dotted] {
            assert!(check_name(same).is_err(), "no server may name a part");
        }
    }
}

fn request(path: &[u8], offset: u64) {
    if path.is_empty() || path.len() > CAR_DATA_MAX || path.contains(&0) {
        return;
    }
    for offset in [0, offset, u64::MAX] {
        let mut sent = Vec::new();
        write_request(&mut sent, path, offset).expect("a Vec takes all");
        let request = parse(&sent).expect("it is one").expect("it is whole");
        assert_eq!((request.path, request.offset), (path, offset));
        assert_eq!((request.length, request.size), (None, sent.len()));
        assert!(sent.len() <= REQUEST_SIZE_MAX);
    }
}
