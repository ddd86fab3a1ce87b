//! A listing as the data cars of a train: `TYPE SIZE MTIME_NS NAME NUL` of each entry.

use core::fmt::Write;

use heapless::Vec;

use crate::entry::Entry;
use crate::files::{File, Walk, WalkEntry, WalkNext};
use crate::limits::{CAR_BUFFER_BYTES, NAME_BYTES};
use crate::sys::Errno;
use crate::train::{CAR_DATA_MAX, CAR_HEAD_SIZE, CAR_SIZE_MAX};

/// Cars that are made for one send.
const CARS_MAX: usize = 64;

const _: () = assert!((CARS_MAX + 1) * CAR_SIZE_MAX <= CAR_BUFFER_BYTES);

/// One entry's text.
type Text = Vec<u8, { NAME_BYTES + 48 }>;

/// Where a car starts: within the text of an entry.
#[derive(Clone, Copy)]
struct Mark {
    entry: WalkEntry,
    offset: u16,
}

/// The cars that were laid last. All zeroes is none.
pub(crate) struct Cars {
    marks: [Mark; CARS_MAX + 1],
    laid: usize,
    /// Data of the car that is not full yet, behind those that were laid last: nothing of it is sent.
    open_car: Vec<u8, CAR_DATA_MAX>,
}

impl Cars {
    pub(crate) const fn new() -> Self {
        const MARK: Mark = Mark {
            entry: WalkEntry::POSITION,
            offset: 0,
        };
        Self {
            marks: [MARK; CARS_MAX + 1],
            laid: 0,
            open_car: Vec::new(),
        }
    }

    /// Forgets what is laid and not sent: the walk begins again at the position.
    pub(crate) fn clear(&mut self) {
        self.laid = 0;
        self.open_car.clear();
    }

    /// Lays the next cars into `buffer`; the first one starts where `folder` and `offset` say. They are
    /// whole cars, and at the folder's end also the last car and the end car. Returns the bytes, and
    /// whether that end is among them. No bytes and no end: [`Walk::step`] goes on. It blocks while
    /// the card is asked.
    ///
    /// # Errors
    /// `EIO` and the like when an entry can't be looked at: the listing can't be whole.
    pub(crate) fn lay(
        &mut self,
        walk: &mut Walk,
        folder: &File,
        offset: u16,
        buffer: &mut [u8],
    ) -> Result<(usize, bool), Errno> {
        assert!(walk.is_ready() && buffer.len() >= (CARS_MAX + 1) * CAR_SIZE_MAX);
        let mut start = Mark {
            entry: WalkEntry::POSITION,
            offset,
        };
        self.laid = 0;
        self.marks[0] = start;
        let (mut used, mut looks) = (0, 0);
        let mut filled = self.open_car.len();
        buffer[CAR_HEAD_SIZE..][..filled].copy_from_slice(&self.open_car);
        let mut text = if filled > 0 || folder.name.is_empty() {
            start.offset = 0;
            Text::new()
        } else {
            text_of(&folder.entry())
        };
        self.open_car.clear();
        while self.laid < CARS_MAX {
            let rest = &text[usize::from(start.offset)..];
            let take = rest.len().min(CAR_DATA_MAX - filled);
            buffer[used + CAR_HEAD_SIZE + filled..][..take].copy_from_slice(&rest[..take]);
            filled += take;
            start.offset += take as u16;
            if filled == CAR_DATA_MAX {
                put_length(buffer, used, filled);
                used += CAR_SIZE_MAX;
                filled = 0;
                self.laid += 1;
                self.marks[self.laid] = start;
                continue;
            }
            match walk.next(folder, &mut looks)? {
                WalkNext::Entry(entry) => {
                    start = Mark { entry, offset: 0 };
                    text = text_of(&walk.entry(&entry, folder));
                }
                WalkNext::Pause => {
                    self.open_car
                        .extend_from_slice(&buffer[used + CAR_HEAD_SIZE..][..filled])
                        .expect("a car has room");
                    return Ok((used, false));
                }
                WalkNext::End => {
                    if filled > 0 {
                        put_length(buffer, used, filled);
                        used += CAR_HEAD_SIZE + filled;
                    }
                    put_length(buffer, used, 0);
                    return Ok((used + CAR_HEAD_SIZE, true));
                }
            }
        }
        Ok((used, false))
    }

    /// Full cars among those laid last.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        self.laid
    }

    /// Moves `folder`'s position over `cars` whole cars of those laid last. Returns the new offset. If
    /// not all that was laid is sent, the listing must begin again.
    pub(crate) fn advance(&self, walk: &Walk, folder: &mut File, cars: usize) -> u16 {
        assert!(cars <= self.laid);
        let start = self.marks[cars];
        walk.move_to(&start.entry, folder);
        start.offset
    }
}

fn put_length(buffer: &mut [u8], at: usize, length: usize) {
    buffer[at..][..CAR_HEAD_SIZE].copy_from_slice(&(length as i32).to_le_bytes());
}

fn text_of(entry: &Entry<'_>) -> Text {
    let mut text = Text::new();
    let kind = if entry.is_folder { 'd' } else { 'f' };
    write!(text, "{kind} {} {} ", entry.size, entry.mtime_ns).expect("two numbers fit 48 bytes");
    text.extend_from_slice(entry.name)
        .and_then(|()| text.push(0).map_err(|_| Default::default()))
        .expect("a name has room");
    text
}
