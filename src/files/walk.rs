//! A walk over a folder: passes that select its entries in some order, then those one by one.
//!
//! What a connection keeps of a walk is its position: the last entry that it came to, in its [`File`].
//! So a walk can be left at any entry, and begun again behind it.

use core::ffi::CStr;

use heapless::Vec;

use super::File;
use super::selection::Selection;
use crate::entry::{By, Entry, Order};
use crate::limits::NAME_BYTES;
use crate::sys::{self, Errno, Opened};

/// Bytes of entries that one step reads from a folder.
const STEP_BYTES: usize = 32 * 1024;

/// The walk over one folder at a time. All zeroes is none.
pub(super) struct Walk {
    selection: Selection,
    step: [u8; STEP_BYTES],
    /// The first entry of the selection behind the position, and the one to be looked at next.
    behind: usize,
    next: usize,
    is_ready: bool,
}

/// An entry that a walk came to. All zeroes is its position.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// 0 for the entry that the connection's file holds, else 1 + its index in the selection.
    number: u32,
    is_folder: bool,
    size: u64,
    mtime_ns: i64,
}

impl Place {
    /// The entry that the connection's file holds.
    pub(super) const POSITION: Self = Self {
        number: 0,
        is_folder: false,
        size: 0,
        mtime_ns: 0,
    };
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// There is more of the folder to read; call again.
    More,
    /// Its entries can be had.
    Ready,
    /// There are too many entries to sort them by size or date; begin again, by name.
    TooMany,
}

impl Walk {
    pub(super) const fn new() -> Self {
        Self {
            selection: Selection::new(),
            step: [0; STEP_BYTES],
            behind: 0,
            next: 0,
            is_ready: false,
        }
    }

    /// Starts a pass over `folder`, for the entries that follow the position in this order.
    pub(super) fn begin(&mut self, folder: &File, order: Order) -> Result<(), Errno> {
        assert!(folder.is_folder);
        self.selection.clear(order);
        (self.behind, self.next, self.is_ready) = (0, 0, false);
        sys::rewind(folder.descriptor.raw())
    }

    /// Reads a part of the folder, of which it takes the names that `keep` wants.
    pub(super) fn step(
        &mut self,
        folder: &File,
        keep: impl Fn(&[u8]) -> bool,
    ) -> Result<Progress, Errno> {
        if self.is_ready {
            return Ok(Progress::Ready);
        }
        let order = self.selection.order();
        let after = folder.entry();
        let after = (order.key(&after), after.name);
        let entries = sys::getdents(folder.descriptor.raw(), &mut self.step)?;
        if entries.is_empty() {
            self.selection.sort();
            self.is_ready = true;
            return Ok(Progress::Ready);
        }
        for name in entries
            .map(CStr::to_bytes)
            .filter(|name| !matches!(*name, b"" | b"." | b"..") && keep(name))
        {
            if order.by == By::Name {
                self.selection.offer((0, name), after);
            } else if let Some(entry) = shown(look_up(folder, name))? {
                self.selection.offer((order.key(&entry), name), after);
            }
        }
        // In passes, each entry of a huge folder would have to be asked for its size in each pass.
        if order.by != By::Name && self.selection.is_cut() {
            return Ok(Progress::TooMany);
        }
        Ok(Progress::More)
    }

    /// Whether the pass has come to its end.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Whether another pass will find entries behind those of this one.
    pub(super) fn is_cut(&self) -> bool {
        self.selection.is_cut()
    }

    /// The next entry that is a file or a folder, and still there.
    pub(super) fn next(&mut self, folder: &File) -> Result<Option<Place>, Errno> {
        while self.next < self.selection.len() {
            let (key, name) = self.selection.item(self.next);
            self.next += 1;
            let Some(mut entry) = shown(look_up(folder, name))? else {
                continue;
            };
            // Of what has changed since the pass, the pass tells: the order is by that.
            self.selection.order().set_key(&mut entry, key);
            return Ok(Some(Place {
                number: self.next as u32,
                is_folder: entry.is_folder,
                size: entry.size,
                mtime_ns: entry.mtime_ns,
            }));
        }
        Ok(None)
    }

    /// The entry at a place.
    pub(super) fn entry<'a>(&'a self, place: &Place, folder: &'a File) -> Entry<'a> {
        let Some(index) = place.number.checked_sub(1) else {
            return folder.entry();
        };
        Entry {
            name: self.selection.item(index as usize).1,
            is_folder: place.is_folder,
            size: place.size,
            mtime_ns: place.mtime_ns,
        }
    }

    /// Moves the position to a place; the entry that follows it is the next.
    pub(super) fn move_to(&mut self, place: &Place, folder: &mut File) {
        if place.number != 0 {
            let (_, name) = self.selection.item(place.number as usize - 1);
            let entry = Entry {
                name,
                is_folder: place.is_folder,
                size: place.size,
                mtime_ns: place.mtime_ns,
            };
            folder.set_entry(&entry);
            self.behind = place.number as usize;
        }
        self.next = self.behind;
    }
}

/// An entry that was looked up, unless it is gone or nobody may have it. Any other error must end the
/// listing: without the entry, it would look whole and not be so.
fn shown<'a>(entry: Result<Entry<'a>, Errno>) -> Result<Option<Entry<'a>>, Errno> {
    match entry {
        Err(Errno::ENOENT | Errno::EACCES | Errno::EPERM) => Ok(None),
        entry => entry.map(Some),
    }
}

/// What there is of this name in a folder, by statx(2). It blocks while the card is asked.
///
/// # Errors
/// See [`Opened::at`].
pub(super) fn look_up<'a>(folder: &File, name: &'a [u8]) -> Result<Entry<'a>, Errno> {
    let c_name: Vec<u8, { NAME_BYTES + 1 }> = name.iter().copied().chain([0]).collect();
    let c_name = CStr::from_bytes_with_nul(&c_name).map_err(|_| Errno::EINVAL)?;
    let opened = Opened::at(folder.descriptor.raw(), c_name)?;
    Ok(Entry {
        name,
        is_folder: opened.is_folder,
        size: if opened.is_folder { 0 } else { opened.size },
        mtime_ns: opened.mtime_ns,
    })
}
