//! The listing of a folder: its entries sorted by name, as the data cars of a train.
//!
//! A worker has one, and its connections take turns with it. What a connection keeps of a listing
//! is its position: the entry at which the next car starts, in the connection's [`File`], and how
//! much of that entry's text is sent. So another can use the listing while a client is slow.

use core::ffi::CStr;
use core::fmt::Write;

use heapless::Vec;

use super::File;
use super::selection::Selection;
use crate::limits::NAME_BYTES;
use crate::sys::{self, Errno, Opened};
use crate::train::{CAR_DATA_MAX, CAR_HEAD_SIZE, CAR_SIZE_MAX};

/// Bytes of entries that one step reads from a folder.
const STEP_BYTES: usize = 32 * 1024;
/// Cars that are made for one send.
const CARS_MAX: usize = 64;

/// One entry's text: `TYPE SIZE MTIME_NS NAME NUL`.
type Text = Vec<u8, { NAME_BYTES + 48 }>;

/// The listing of one folder at a time. All zeroes is none.
pub struct Listing {
    selection: Selection,
    step: [u8; STEP_BYTES],
    starts: [Start; CARS_MAX + 1],
    next: usize,
    cars: usize,
    is_ready: bool,
}

/// Where a car starts: within the text of an entry.
#[derive(Clone, Copy)]
struct Start {
    /// 0 for the entry that the connection's file holds, else 1 + its index in the selection.
    entry: u32,
    skip: u16,
    is_folder: bool,
    size: u64,
    mtime_ns: i64,
}

/// How far a listing has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// There is more of the folder to read; call again.
    More,
    /// Cars can be made.
    Ready,
}

impl Listing {
    /// No listing.
    #[must_use]
    pub const fn new() -> Self {
        const START: Start = Start {
            entry: 0,
            skip: 0,
            is_folder: false,
            size: 0,
            mtime_ns: 0,
        };
        Self {
            selection: Selection::new(),
            step: [0; STEP_BYTES],
            starts: [START; CARS_MAX + 1],
            next: 0,
            cars: 0,
            is_ready: false,
        }
    }

    /// Starts a pass over `folder`, for the entries behind the one that it holds.
    ///
    /// # Errors
    /// What lseek(2) says.
    pub fn begin(&mut self, folder: &File) -> Result<(), Errno> {
        assert!(folder.is_folder);
        self.selection.clear();
        (self.next, self.cars, self.is_ready) = (0, 0, false);
        sys::rewind(folder.descriptor.raw())
    }

    /// Reads a part of the folder. It blocks while the card is asked.
    ///
    /// # Errors
    /// What getdents64(2) says.
    pub fn step(&mut self, folder: &File) -> Result<Progress, Errno> {
        if self.is_ready {
            return Ok(Progress::Ready);
        }
        let entries = sys::getdents(folder.descriptor.raw(), &mut self.step)?;
        if entries.is_empty() {
            self.selection.sort();
            self.is_ready = true;
            return Ok(Progress::Ready);
        }
        for name in entries
            .map(CStr::to_bytes)
            .filter(|name| !matches!(*name, b"" | b"." | b".."))
        {
            self.selection.offer(name, &folder.name);
        }
        Ok(Progress::More)
    }

    /// Lays cars into `buffer`, from the position that `folder` and `skip` say: whole cars, and at
    /// the folder's end also the last car and the end car. Returns the bytes, and whether that end
    /// is among them. No bytes and no end: another pass must follow.
    pub fn lay(&mut self, folder: &File, skip: u16, buffer: &mut [u8]) -> (usize, bool) {
        assert!(self.is_ready && buffer.len() >= (CARS_MAX + 1) * CAR_SIZE_MAX);
        let mut start = Start {
            entry: 0,
            skip,
            is_folder: folder.entry_is_folder,
            size: folder.size,
            mtime_ns: folder.mtime_ns,
        };
        let mut text = if folder.name.is_empty() {
            Text::new()
        } else {
            entry_text(&start, &folder.name)
        };
        let (mut used, mut filled) = (0, 0);
        self.cars = 0;
        self.starts[0] = start;
        while self.cars < CARS_MAX {
            let rest = &text[usize::from(start.skip)..];
            let take = rest.len().min(CAR_DATA_MAX - filled);
            buffer[used + CAR_HEAD_SIZE + filled..][..take].copy_from_slice(&rest[..take]);
            filled += take;
            start.skip += take as u16;
            if filled == CAR_DATA_MAX {
                buffer[used..][..CAR_HEAD_SIZE]
                    .copy_from_slice(&(CAR_DATA_MAX as i32).to_le_bytes());
                used += CAR_SIZE_MAX;
                filled = 0;
                self.cars += 1;
                self.starts[self.cars] = start;
            } else if let Some((next, next_text)) = self.next_entry(folder) {
                (start, text) = (next, next_text);
            } else if self.selection.is_cut() {
                return (used, false);
            } else {
                if filled > 0 {
                    buffer[used..][..CAR_HEAD_SIZE].copy_from_slice(&(filled as i32).to_le_bytes());
                    used += CAR_HEAD_SIZE + filled;
                }
                buffer[used..][..CAR_HEAD_SIZE].fill(0);
                return (used + CAR_HEAD_SIZE, true);
            }
        }
        (used, false)
    }

    /// Full cars among those laid last.
    #[must_use]
    pub fn cars(&self) -> usize {
        self.cars
    }

    /// Moves `folder`'s position over `cars` whole cars of those laid last. Returns the new skip.
    pub fn advance(&mut self, folder: &mut File, cars: usize) -> u16 {
        assert!(cars <= self.cars);
        let start = self.starts[cars];
        if let Some(index) = start.entry.checked_sub(1) {
            folder.name.clear();
            folder
                .name
                .extend_from_slice(self.selection.name(index as usize))
                .expect("a name has room");
            (folder.size, folder.mtime_ns, folder.entry_is_folder) =
                (start.size, start.mtime_ns, start.is_folder);
            self.next = index as usize + 1;
        } else {
            self.next = 0;
        }
        start.skip
    }

    /// The next entry that is a file or a folder, still there, and its text.
    fn next_entry(&mut self, folder: &File) -> Option<(Start, Text)> {
        while self.next < self.selection.len() {
            let index = self.next;
            self.next += 1;
            let name = self.selection.name(index);
            let c_name: Vec<u8, { NAME_BYTES + 1 }> = name.iter().copied().chain([0]).collect();
            let Ok(c_name) = CStr::from_bytes_with_nul(&c_name) else {
                continue;
            };
            let Ok(opened) = Opened::at(folder.descriptor.raw(), c_name) else {
                continue;
            };
            let size = if opened.is_folder { 0 } else { opened.size };
            let start = Start {
                entry: index as u32 + 1,
                skip: 0,
                is_folder: opened.is_folder,
                size,
                mtime_ns: opened.mtime_ns,
            };
            return Some((start, entry_text(&start, name)));
        }
        None
    }
}

impl Default for Listing {
    fn default() -> Self {
        Self::new()
    }
}

fn entry_text(start: &Start, name: &[u8]) -> Text {
    let mut text = Text::new();
    let kind = if start.is_folder { 'd' } else { 'f' };
    write!(text, "{kind} {} {} ", start.size, start.mtime_ns).expect("two numbers fit 48 bytes");
    text.extend_from_slice(name)
        .and_then(|()| text.push(0).map_err(|_| Default::default()))
        .expect("a name has room");
    text
}
