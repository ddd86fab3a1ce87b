//! The layout of an answer: which bytes stand at which position of it.
//!
//! A connection stores the layout and a position instead of the bytes, so a send can stop and go on at any
//! byte, and a partial send needs no buffer.

use heapless::Vec;

use super::{CAR_DATA_MAX, CAR_HEAD_SIZE, CAR_SIZE_MAX, Fault};
use crate::limits::HEAD_BYTES;

/// The framing of an answer. `Ask` answers a request, the others are pushed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Framing {
    /// car(name) car(size, mtime) car(data)* car()
    Ask,
    /// As `Ask` for a folder: car(name) car(size, mtime), behind which a listing follows, whose size
    /// nobody knows yet
    Folder,
    /// car(name) car(size) car(data)* car()
    Sized,
    /// car(name) car(size), then the bytes themselves
    Raw,
    /// As `Raw`, and a car() once the client has acknowledged everything
    RawEnd,
    /// car(name) car(data)* car()
    Plain,
}

impl Framing {
    /// Whether the file's bytes travel without cars.
    #[must_use]
    pub fn is_raw(self) -> bool {
        matches!(self, Self::Raw | Self::RawEnd)
    }

    /// Whether the end car belongs to the layout: that of `RawEnd` is sent later, that of a folder by its
    /// listing.
    fn has_end_car(self) -> bool {
        !self.is_raw() && self != Self::Folder
    }
}

/// The first bytes of an answer.
pub type Head = Vec<u8, HEAD_BYTES>;

/// What stands at a position, and how far into it the position lies, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Segment {
    /// The name and size cars.
    Head(usize),
    /// The data car with this number, from 0; its length's 4 bytes are counted.
    Cars(u64, usize),
    /// The file's data, where it travels without cars.
    Raw(u64),
    /// The end car.
    End(usize),
    /// Nothing: all is sent.
    Done,
}

/// An answer as a function of position. All zeroes is an answer of nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ResponseLayout {
    /// First byte of the file that is sent.
    pub offset: u64,
    /// Bytes of the file that are sent.
    pub data_size: u64,
    /// The answer's framing.
    pub framing: Framing,
    /// The number of the fault that is the whole answer, or 0. It is no `Option`, because a `None` need not be
    /// all zeroes, as a free connection is.
    fault: u8,
    head_size: u16,
}

impl ResponseLayout {
    /// An answer of nothing.
    pub const NOTHING: Self = Self {
        offset: 0,
        data_size: 0,
        framing: Framing::Ask,
        fault: 0,
        head_size: 0,
    };

    /// Plans to send `data_size` bytes from `offset` after a head of `head_size` bytes.
    #[must_use]
    pub fn new(framing: Framing, head_size: usize, offset: u64, data_size: u64) -> Self {
        assert!(head_size <= HEAD_BYTES);
        Self {
            offset,
            data_size,
            framing,
            fault: 0,
            head_size: head_size as u16,
        }
    }

    /// Plans to send nothing but a fault.
    #[must_use]
    pub fn fault(fault: Fault) -> Self {
        Self {
            offset: 0,
            data_size: 0,
            framing: Framing::Ask,
            fault: fault as u8,
            head_size: CAR_HEAD_SIZE as u16,
        }
    }

    /// The fault that is the whole answer.
    #[must_use]
    pub fn as_fault(&self) -> Option<Fault> {
        Fault::ALL
            .into_iter()
            .find(|fault| *fault as u8 == self.fault)
    }

    /// Bytes of the head.
    #[must_use]
    pub fn head_size(&self) -> u64 {
        u64::from(self.head_size)
    }

    /// Cars that carry the data; all are full but the last.
    #[must_use]
    pub fn cars(&self) -> u64 {
        if self.framing.is_raw() {
            0
        } else {
            self.data_size.div_ceil(CAR_DATA_MAX as u64)
        }
    }

    /// Bytes of the whole answer; what `RawEnd` sends later is not counted.
    #[must_use]
    pub fn size(&self) -> u64 {
        let end = if self.fault == 0 && self.framing.has_end_car() {
            CAR_HEAD_SIZE as u64
        } else {
            0
        };
        self.end_of_data() + end
    }

    fn end_of_data(&self) -> u64 {
        self.head_size() + self.data_size + self.cars() * CAR_HEAD_SIZE as u64
    }

    /// Where `position`, counted from the answer's first byte, lies.
    #[must_use]
    pub fn segment(&self, position: u64) -> Segment {
        if position < self.head_size() {
            Segment::Head(position as usize)
        } else if position < self.end_of_data() {
            let within = position - self.head_size();
            if self.framing.is_raw() {
                Segment::Raw(within)
            } else {
                let car_size = CAR_SIZE_MAX as u64;
                Segment::Cars(within / car_size, (within % car_size) as usize)
            }
        } else if position < self.size() {
            Segment::End((position - self.end_of_data()) as usize)
        } else {
            assert_eq!(position, self.size(), "nothing lies behind the end");
            Segment::Done
        }
    }

    /// The data bytes of the car with this number.
    #[must_use]
    pub fn car_data(&self, car: u64) -> usize {
        let before = car * CAR_DATA_MAX as u64;
        assert!(before < self.data_size, "there is no such car");
        (self.data_size - before).min(CAR_DATA_MAX as u64) as usize
    }

    /// Writes the cars before the data: name, and size and time as the framing has them. `mtime_ns` counts
    /// from 1970 and is negative before.
    #[must_use]
    pub fn head(framing: Framing, name: &[u8], size: u64, mtime_ns: i64) -> Head {
        let mut head = Head::new();
        push_car(&mut head, &[name]);
        match framing {
            Framing::Ask | Framing::Folder => {
                push_car(&mut head, &[&size.to_le_bytes(), &mtime_ns.to_le_bytes()])
            }
            Framing::Sized | Framing::Raw | Framing::RawEnd => {
                push_car(&mut head, &[&size.to_le_bytes()])
            }
            Framing::Plain => {}
        }
        head
    }
}

fn push_car(head: &mut Head, parts: &[&[u8]]) {
    let data_len: usize = parts.iter().map(|part| part.len()).sum();
    assert!((1..=CAR_DATA_MAX).contains(&data_len));
    let length = (data_len as i32).to_le_bytes();
    for part in core::iter::once(&length[..]).chain(parts.iter().copied()) {
        head.extend_from_slice(part)
            .expect("HEAD_BYTES is the sum of the longest parts");
    }
}
