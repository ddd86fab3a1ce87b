//! The listing of a folder: its entries in order, as the data cars of a train (`cars`) or as the rows
//! of a page (`rows`).
//!
//! A worker has one, and its connections take turns with it. What a connection keeps of a listing
//! is its position: the entry where what it sends next starts, in the connection's [`File`], and how
//! much of that entry's text is sent. So another can use the listing while a client is slow.

mod cars;
mod rows;

pub use rows::{RowsEnd, seek};

use heapless::Vec;

use super::File;
use super::walk::{Place, Progress, Walk};
use crate::entry::Order;
use crate::limits::CAR_DATA_MAX;
use crate::sys::Errno;

/// Cars or rows that are made for one send.
const MARKS_MAX: usize = 256;

/// The listing of one folder at a time. All zeroes is none.
pub struct Listing {
    walk: Walk,
    marks: [Mark; MARKS_MAX + 1],
    /// Cars or rows that were laid last.
    laid: usize,
    /// Data of the car that is not full yet, behind those that were laid last: nothing of it is sent.
    open_car: Vec<u8, CAR_DATA_MAX>,
}

/// Where a car or a row starts: within the text of an entry.
#[derive(Clone, Copy)]
struct Mark {
    place: Place,
    skip: u16,
    /// Of a row, where it ends in the buffer.
    end: u32,
}

impl Listing {
    /// No listing.
    #[must_use]
    pub const fn new() -> Self {
        const MARK: Mark = Mark {
            place: Place::POSITION,
            skip: 0,
            end: 0,
        };
        Self {
            walk: Walk::new(),
            marks: [MARK; MARKS_MAX + 1],
            laid: 0,
            open_car: Vec::new(),
        }
    }

    /// Starts at the entry that follows the one that `folder` holds in this order.
    ///
    /// # Errors
    /// `EIO` when the folder can't be read any more.
    pub fn begin(&mut self, folder: &File, order: Order) -> Result<(), Errno> {
        self.laid = 0;
        self.open_car.clear();
        self.walk.begin(folder, order)
    }

    /// Reads a part of the folder, of which it takes the names that `keep` wants, until there is
    /// something to be laid; by size or date it looks at each of them. It blocks while the card is
    /// asked.
    ///
    /// # Errors
    /// `EIO` and the like when the folder or, by size or date, an entry can't be read.
    pub fn step(&mut self, folder: &File, keep: impl Fn(&[u8]) -> bool) -> Result<Progress, Errno> {
        self.walk.step(folder, keep)
    }
}

impl Default for Listing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
