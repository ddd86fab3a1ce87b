//! A walk over a folder: passes that select its entries in some order, then those one by one.
//!
//! What a connection keeps of a walk is its position: the last entry that it came to, in its [`File`].
//! So a walk can be left at any entry, and begun again behind it. While it is not left it goes on by
//! itself, pass after pass: each begins behind the last entry of the one before, whether that one was
//! shown or not, so every call makes progress. No call looks at more than [`LOOKS_MAX`] entries, which
//! bounds how long the other connections wait for it.

use core::ffi::CStr;
use core::ops::Range;

use heapless::Vec;

use super::File;
use super::selection::Selection;
use crate::entry::{By, Entry, Order};
use crate::limits::{NAME_BYTES, NAME_MAX};
use crate::sys::{self, Directory, Errno, Metadata};

/// Bytes of entries that one step reads from a folder.
const STEP_BYTES: usize = 32 * 1024;
/// Entries that one call looks at, with one to four system calls each.
pub const LOOKS_MAX: usize = 256;

/// The walk over one folder at a time. All zeroes is none.
pub struct Walk {
    selection: Selection,
    step: [u8; STEP_BYTES],
    /// Of what the last step has read, the entries that are yet to be offered to the selection.
    unread: Range<usize>,
    /// The entry behind which the pass began: the key that its order sorts it by, and its name.
    after_key: u64,
    after: Vec<u8, NAME_BYTES, u16>,
    /// The entry of the selection to be looked at next.
    next: usize,
    is_ready: bool,
}

/// What a walk comes to next.
pub enum WalkNext {
    /// An entry that is a file or a folder, and still there.
    Entry(WalkEntry),
    /// Nothing yet: it has looked at enough entries for now, or the pass is over and another one must
    /// follow. [`Walk::step`] goes on.
    Pause,
    /// The folder's end.
    End,
}

/// An entry that a walk came to. All zeroes is its position.
#[derive(Clone, Copy)]
pub struct WalkEntry {
    /// 0 for the entry that the connection's file holds, else 1 + its index in the selection.
    number: u32,
    is_folder: bool,
    size: u64,
    mtime_ns: i64,
}

impl WalkEntry {
    /// The entry that the connection's file holds.
    pub const POSITION: Self = Self {
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
    /// No walk.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            selection: Selection::new(),
            step: [0; STEP_BYTES],
            unread: 0..0,
            after_key: 0,
            after: Vec::new(),
            next: 0,
            is_ready: false,
        }
    }

    /// Starts over, with a pass over `folder` for the entries that follow its position in this order.
    ///
    /// # Errors
    /// `EIO` when the folder can't be read any more.
    pub fn begin(&mut self, folder: &File, order: Order) -> Result<(), Errno> {
        assert!(folder.is_folder);
        let position = folder.entry();
        (self.after_key, self.after) = (order.key(&position), folder.name.clone());
        self.begin_pass(folder, order)
    }

    /// Starts the pass that follows one that is over.
    fn go_on(&mut self, folder: &File) -> Result<(), Errno> {
        let last = self.selection.len().checked_sub(1);
        let (key, name) = self.selection.item(last.expect("a cut keeps entries"));
        self.after_key = key;
        self.after.clear();
        self.after.extend_from_slice(name).expect("a name has room");
        self.begin_pass(folder, self.selection.order())
    }

    fn begin_pass(&mut self, folder: &File, order: Order) -> Result<(), Errno> {
        self.selection.clear(order);
        (self.unread, self.next, self.is_ready) = (0..0, 0, false);
        sys::rewind(folder.descriptor.raw())
    }

    /// Reads a part of the folder, of which it takes the names that `keep` wants, until there are
    /// entries to be had; by size or date it looks at each of them. It blocks while the card is asked.
    ///
    /// # Errors
    /// `EIO` and the like when the folder or, by size or date, an entry can't be read; `ENAMETOOLONG`
    /// for a name that nobody could ask for.
    pub fn step(&mut self, folder: &File, keep: impl Fn(&[u8]) -> bool) -> Result<Progress, Errno> {
        if self.is_ready {
            if self.next < self.selection.len() || !self.selection.is_cut() {
                return Ok(Progress::Ready);
            }
            self.go_on(folder)?;
        }
        if self.unread.is_empty() {
            let read = sys::getdents(folder.descriptor.raw(), &mut self.step)?;
            if read.is_empty() {
                self.selection.sort();
                self.is_ready = true;
                return Ok(Progress::Ready);
            }
            self.unread = 0..read.size();
        }
        self.offer_read(folder, keep)?;
        // In passes, each entry of a huge folder would have to be asked for its size in each pass.
        if self.selection.order().by != By::Name && self.selection.is_cut() {
            return Ok(Progress::TooMany);
        }
        Ok(Progress::More)
    }

    /// Offers entries that were read to the selection, as many as one call may look at.
    fn offer_read(&mut self, folder: &File, keep: impl Fn(&[u8]) -> bool) -> Result<(), Errno> {
        let order = self.selection.order();
        let after = (self.after_key, &self.after[..]);
        let mut entries = Directory::of(&self.step[self.unread.clone()]);
        let mut looks = 0;
        while looks < LOOKS_MAX
            && let Some(name) = entries.next()
        {
            let name = name.to_bytes();
            // A file system in user space may have longer ones. Nobody could ask for them.
            if name.len() > NAME_MAX {
                return Err(Errno::ENAMETOOLONG);
            }
            if matches!(name, b"" | b"." | b"..") || !keep(name) {
                continue;
            }
            if order.by == By::Name {
                self.selection.offer((0, name), after);
                continue;
            }
            looks += 1;
            if let Some(entry) = shown(look_up(folder, name))? {
                self.selection.offer((order.key(&entry), name), after);
            }
        }
        self.unread.start = self.unread.end - entries.size();
        Ok(())
    }

    /// Whether the pass has come to its end.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Looks for the next entry that is shown; `looks` counts the entries that it has looked at. It
    /// blocks while the card is asked.
    ///
    /// # Errors
    /// `EIO` and the like when an entry can't be looked at: without it the listing would not be whole.
    pub fn next(&mut self, folder: &File, looks: &mut usize) -> Result<WalkNext, Errno> {
        while self.next < self.selection.len() {
            if *looks == LOOKS_MAX {
                return Ok(WalkNext::Pause);
            }
            *looks += 1;
            let (key, name) = self.selection.item(self.next);
            self.next += 1;
            let Some(mut entry) = shown(look_up(folder, name))? else {
                continue;
            };
            // Of what has changed since the pass, the pass tells: the order is by that.
            self.selection.order().set_key(&mut entry, key);
            return Ok(WalkNext::Entry(WalkEntry {
                number: self.next as u32,
                is_folder: entry.is_folder,
                size: entry.size,
                mtime_ns: entry.mtime_ns,
            }));
        }
        Ok(if self.selection.is_cut() {
            WalkNext::Pause
        } else {
            WalkNext::End
        })
    }

    /// What a walk has come to, or the entry that `folder` holds.
    #[must_use]
    pub fn entry<'a>(&'a self, place: &WalkEntry, folder: &'a File) -> Entry<'a> {
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

    /// Moves the folder's position to what the walk has come to.
    pub fn move_to(&self, place: &WalkEntry, folder: &mut File) {
        if place.number != 0 {
            let (_, name) = self.selection.item(place.number as usize - 1);
            folder.set_entry(&Entry {
                name,
                is_folder: place.is_folder,
                size: place.size,
                mtime_ns: place.mtime_ns,
            });
        }
    }
}

impl Default for Walk {
    fn default() -> Self {
        Self::new()
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
/// See [`Metadata::at`].
fn look_up<'a>(folder: &File, name: &'a [u8]) -> Result<Entry<'a>, Errno> {
    let c_name: Vec<u8, NAME_BYTES> = name.iter().copied().chain([0]).collect();
    let c_name = CStr::from_bytes_with_nul(&c_name).map_err(|_| Errno::EINVAL)?;
    let metadata = Metadata::at(folder.descriptor.raw(), c_name)?;
    Ok(Entry {
        name,
        is_folder: metadata.is_folder,
        size: if metadata.is_folder { 0 } else { metadata.size },
        mtime_ns: metadata.mtime_ns,
    })
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
