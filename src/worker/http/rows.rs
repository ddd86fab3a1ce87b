//! A listing as the rows of a page, each the text of one entry.

use crate::entry::Entry;
use crate::files::{File, Walk, WalkEntry, WalkNext};
use crate::http::FixedBuf;
use crate::http::listing::ROW_BYTES_MAX;
use crate::sys::Errno;

/// Bytes that a buffer must have free for another row, as a chunk.
const ROOM_BYTES: usize = ROW_BYTES_MAX + FixedBuf::CHUNK_BYTES;

const _: () = assert!(ROOM_BYTES <= u16::MAX as usize, "an offset is within a row");

/// What follows the rows that were laid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RowsEnd {
    /// More rows, or none: that is yet to be seen. [`Walk::step`] goes on.
    More,
    /// Nothing: the folder has no more entries.
    Folder,
    /// Nothing: these are as many as were wanted, and the folder has more.
    Limit,
}

/// Rows that are made for one send.
const ROWS_MAX: usize = 256;

/// Where a row starts, within the text of an entry, and where it ends in the buffer.
#[derive(Clone, Copy)]
struct Mark {
    entry: WalkEntry,
    offset: u16,
    end: u32,
}

/// The rows that were laid last. All zeroes is none.
pub(crate) struct Rows {
    marks: [Mark; ROWS_MAX],
    laid: usize,
}

impl Rows {
    pub(crate) const fn new() -> Self {
        const MARK: Mark = Mark {
            entry: WalkEntry::POSITION,
            offset: 0,
            end: 0,
        };
        Self {
            marks: [MARK; ROWS_MAX],
            laid: 0,
        }
    }

    /// Lays the next rows into `buffer`, or, if `offset` is not 0, first that of the entry that `folder`
    /// holds, of which so many bytes are sent. At most `rows_max` rows, each written by `write`, which
    /// is told how many come before it here. Returns the bytes, and what follows.
    ///
    /// A row that is sent in part must be written again as it was: `write` may depend on the entry
    /// and on the rows before it only. It blocks while the card is asked.
    ///
    /// # Errors
    /// `EIO` and the like when an entry can't be looked at: the listing can't be whole.
    pub(crate) fn lay(
        &mut self,
        walk: &mut Walk,
        folder: &File,
        offset: u16,
        rows_max: u32,
        buffer: &mut [u8],
        write: impl Fn(u32, &Entry<'_>, &mut FixedBuf<'_>),
    ) -> Result<(usize, RowsEnd), Errno> {
        assert!(walk.is_ready() && buffer.len() >= ROOM_BYTES);
        let rows_max = rows_max as usize;
        let (mut used, mut looks) = (0, 0);
        self.laid = 0;
        while self.laid < rows_max.min(ROWS_MAX) && buffer.len() - used >= ROOM_BYTES {
            let (entry, offset) = if self.laid == 0 && offset > 0 {
                (WalkEntry::POSITION, offset)
            } else {
                match walk.next(folder, &mut looks)? {
                    WalkNext::Entry(entry) => (entry, 0),
                    WalkNext::Pause => return Ok((used, RowsEnd::More)),
                    WalkNext::End => return Ok((used, RowsEnd::Folder)),
                }
            };
            let room = &mut buffer[used..];
            let mut text = FixedBuf::new(room);
            write(self.laid as u32, &walk.entry(&entry, folder), &mut text);
            let size = text.used();
            assert!(usize::from(offset) < size && size <= ROOM_BYTES);
            room.copy_within(usize::from(offset)..size, 0);
            used += size - usize::from(offset);
            self.marks[self.laid] = Mark {
                entry,
                offset,
                end: used as u32,
            };
            self.laid += 1;
        }
        if self.laid < rows_max {
            return Ok((used, RowsEnd::More));
        }
        let end = match walk.next(folder, &mut looks)? {
            WalkNext::Entry(_) => RowsEnd::Limit,
            WalkNext::Pause => RowsEnd::More,
            WalkNext::End => RowsEnd::Folder,
        };
        Ok((used, end))
    }

    /// Moves `folder`'s position over the first `sent` bytes of the rows laid last. Returns the rows
    /// that are sent with them to their ends, and the new offset. Rows must not be laid twice without
    /// it, and nothing may be sent of the page's foot before all rows are. If not all that was laid is
    /// sent, the listing must begin again.
    pub(crate) fn advance(&self, walk: &Walk, folder: &mut File, sent: usize) -> (u32, u16) {
        let marks = &self.marks[..self.laid];
        let rows = marks.partition_point(|mark| mark.end as usize <= sent);
        let start = rows.checked_sub(1).map_or(0, |last| marks[last].end) as usize;
        let (entry, offset) = match marks.get(rows) {
            // The next row is begun: now, or before and nothing was added.
            Some(next) if sent > start || next.offset > 0 => {
                (next.entry, next.offset + (sent - start) as u16)
            }
            _ => {
                assert_eq!(sent, start, "no more is sent than was laid");
                let last = rows.checked_sub(1).map(|last| marks[last].entry);
                (last.unwrap_or(WalkEntry::POSITION), 0)
            }
        };
        walk.move_to(&entry, folder);
        (rows as u32, offset)
    }
}
