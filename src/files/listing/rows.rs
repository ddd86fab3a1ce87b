//! A listing as the rows of a page, each the text of one entry.

use super::{Listing, MARKS_MAX, Mark};
use crate::entry::{By, Entry, Order};
use crate::files::File;
use crate::files::walk::{Next, Place, look_up};
use crate::http::FixedBuf;
use crate::http::listing::ROW_BYTES_MAX;
use crate::sys::Errno;

/// Bytes that a buffer must have free for another row, as a chunk.
const ROOM_BYTES: usize = ROW_BYTES_MAX + FixedBuf::CHUNK_BYTES;

const _: () = assert!(ROOM_BYTES <= u16::MAX as usize, "a skip is within a row");

/// What follows the rows that were laid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RowsEnd {
    /// More rows, or none: that is yet to be seen. [`Listing::step`] goes on.
    More,
    /// Nothing: the folder has no more entries.
    Folder,
    /// Nothing: these are as many as were wanted, and the folder has more.
    Limit,
}

impl Listing {
    /// Lays the next rows into `buffer`, or, if `skip` is not 0, first that of the entry that `folder`
    /// holds, of which so many bytes are sent. At most `rows_max` rows, each written by `write`, which
    /// is told how many come before it here. Returns the bytes, and what follows.
    ///
    /// A row that is sent in part must be written again as it was: `write` may depend on the entry
    /// and on the rows before it only. It blocks while the card is asked.
    ///
    /// # Errors
    /// `EIO` and the like when an entry can't be looked at: the listing can't be whole.
    pub fn lay_rows(
        &mut self,
        folder: &File,
        skip: u16,
        rows_max: u32,
        buffer: &mut [u8],
        write: impl Fn(u32, &Entry<'_>, &mut FixedBuf<'_>),
    ) -> Result<(usize, RowsEnd), Errno> {
        assert!(self.walk.is_ready() && buffer.len() >= ROOM_BYTES);
        let rows_max = rows_max as usize;
        let (mut used, mut looks) = (0, 0);
        self.laid = 0;
        while self.laid < rows_max.min(MARKS_MAX) && buffer.len() - used >= ROOM_BYTES {
            let (place, skip) = if self.laid == 0 && skip > 0 {
                (Place::POSITION, skip)
            } else {
                match self.walk.next(folder, &mut looks)? {
                    Next::Entry(place) => (place, 0),
                    Next::Pause => return Ok((used, RowsEnd::More)),
                    Next::End => return Ok((used, RowsEnd::Folder)),
                }
            };
            let room = &mut buffer[used..];
            let mut text = FixedBuf::new(room);
            write(
                self.laid as u32,
                &self.walk.entry(&place, folder),
                &mut text,
            );
            let size = text.used();
            assert!(usize::from(skip) < size && size <= ROOM_BYTES);
            room.copy_within(usize::from(skip)..size, 0);
            used += size - usize::from(skip);
            self.marks[self.laid] = Mark {
                place,
                skip,
                end: used as u32,
            };
            self.laid += 1;
        }
        if self.laid < rows_max {
            return Ok((used, RowsEnd::More));
        }
        let end = match self.walk.next(folder, &mut looks)? {
            Next::Entry(_) => RowsEnd::Limit,
            Next::Pause => RowsEnd::More,
            Next::End => RowsEnd::Folder,
        };
        Ok((used, end))
    }

    /// Moves `folder`'s position over the first `sent` bytes of the rows laid last. Returns the rows
    /// that are sent with them to their ends, and the new skip. Rows must not be laid twice without
    /// it, and nothing may be sent of the page's foot before all rows are. If not all that was laid is
    /// sent, the listing must begin again.
    pub fn advance_rows(&mut self, folder: &mut File, sent: usize) -> (u32, u16) {
        let marks = &self.marks[..self.laid];
        let rows = marks.partition_point(|mark| mark.end as usize <= sent);
        let start = rows.checked_sub(1).map_or(0, |last| marks[last].end) as usize;
        let (place, skip) = match marks.get(rows) {
            // The next row is begun: now, or before and nothing was added.
            Some(next) if sent > start || next.skip > 0 => {
                (next.place, next.skip + (sent - start) as u16)
            }
            _ => {
                assert_eq!(sent, start, "no more is sent than was laid");
                let last = rows.checked_sub(1).map(|last| marks[last].place);
                (last.unwrap_or(Place::POSITION), 0)
            }
        };
        self.walk.move_to(&place, folder);
        (rows as u32, skip)
    }
}

/// Makes the entry called `name` the position of `folder`, so that a listing in this order goes on
/// behind it. It blocks while the card is asked, in an order by size or date.
///
/// # Errors
/// By size or date `ENOENT`, `EACCES` or `EPERM` where there is no such entry, so that nobody knows
/// where it was; `EIO` and the like where that can't be told.
pub fn seek(folder: &mut File, name: &[u8], order: Order) -> Result<(), Errno> {
    let entry = if order.by == By::Name || name.is_empty() {
        Entry {
            name,
            is_folder: false,
            size: 0,
            mtime_ns: 0,
        }
    } else {
        look_up(folder, name)?
    };
    folder.set_entry(&entry);
    Ok(())
}
