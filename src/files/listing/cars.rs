//! A listing as the data cars of a train: `TYPE SIZE MTIME_NS NAME NUL` of each entry.

use core::fmt::Write;

use heapless::Vec;

use super::{Listing, Mark};
use crate::entry::Entry;
use crate::files::File;
use crate::files::walk::{Next, Place};
use crate::limits::{CAR_BUFFER_BYTES, NAME_BYTES};
use crate::sys::Errno;
use crate::train::{CAR_DATA_MAX, CAR_HEAD_SIZE, CAR_SIZE_MAX};

/// Cars that are made for one send.
const CARS_MAX: usize = 64;

const _: () = assert!(CARS_MAX <= super::MARKS_MAX);
const _: () = assert!((CARS_MAX + 1) * CAR_SIZE_MAX <= CAR_BUFFER_BYTES);

/// One entry's text.
type Text = Vec<u8, { NAME_BYTES + 48 }>;

impl Listing {
    /// Lays the next cars into `buffer`; the first one starts where `folder` and `skip` say. They are
    /// whole cars, and at the folder's end also the last car and the end car. Returns the bytes, and
    /// whether that end is among them. No bytes and no end: [`Listing::step`] goes on. It blocks while
    /// the card is asked.
    ///
    /// # Errors
    /// `EIO` and the like when an entry can't be looked at: the listing can't be whole.
    pub fn lay_cars(
        &mut self,
        folder: &File,
        skip: u16,
        buffer: &mut [u8],
    ) -> Result<(usize, bool), Errno> {
        assert!(self.walk.is_ready() && buffer.len() >= (CARS_MAX + 1) * CAR_SIZE_MAX);
        let mut start = Mark {
            place: Place::POSITION,
            skip,
            end: 0,
        };
        self.laid = 0;
        self.marks[0] = start;
        let (mut used, mut looks) = (0, 0);
        let mut filled = self.open_car.len();
        buffer[CAR_HEAD_SIZE..][..filled].copy_from_slice(&self.open_car);
        let mut text = if filled > 0 || folder.name.is_empty() {
            start.skip = 0;
            Text::new()
        } else {
            text_of(&folder.entry())
        };
        self.open_car.clear();
        while self.laid < CARS_MAX {
            let rest = &text[usize::from(start.skip)..];
            let take = rest.len().min(CAR_DATA_MAX - filled);
            buffer[used + CAR_HEAD_SIZE + filled..][..take].copy_from_slice(&rest[..take]);
            filled += take;
            start.skip += take as u16;
            if filled == CAR_DATA_MAX {
                put_length(buffer, used, filled);
                used += CAR_SIZE_MAX;
                filled = 0;
                self.laid += 1;
                self.marks[self.laid] = start;
                continue;
            }
            match self.walk.next(folder, &mut looks)? {
                Next::Entry(place) => {
                    start = Mark {
                        place,
                        skip: 0,
                        end: 0,
                    };
                    text = text_of(&self.walk.entry(&place, folder));
                }
                Next::Pause => {
                    self.open_car
                        .extend_from_slice(&buffer[used + CAR_HEAD_SIZE..][..filled])
                        .expect("a car has room");
                    return Ok((used, false));
                }
                Next::End => {
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
    pub fn cars(&self) -> usize {
        self.laid
    }

    /// Moves `folder`'s position over `cars` whole cars of those laid last. Returns the new skip. If
    /// not all that was laid is sent, the listing must begin again.
    pub fn advance_cars(&mut self, folder: &mut File, cars: usize) -> u16 {
        assert!(cars <= self.laid);
        let start = self.marks[cars];
        self.walk.move_to(&start.place, folder);
        start.skip
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
