//! The table of open files: one entry for each file that is being sent.

use heapless::Vec;

use super::OpenFile;
use crate::entry::Entry;
use crate::limits::NAME_BYTES;
use crate::sys::Descriptor;

/// A place in the table. 0 is none, so that a free connection is all zeroes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileSlot(u16);

impl FileSlot {
    /// No file.
    pub const NONE: Self = Self(0);

    /// Whether there is a file.
    #[must_use]
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }
}

/// An open file or folder. All zeroes is a free entry.
pub struct File {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// Its last component; of a folder whose head is sent, the entry that is being sent.
    pub name: Vec<u8, NAME_BYTES, u16>,
    /// Bytes; of a folder, those of the entry that is being sent.
    pub size: u64,
    /// Time of the last change; of a folder, that of the entry that is being sent.
    pub mtime_ns: i64,
    /// Names that it had when it was opened.
    pub links: u32,
    /// Whether the entry that is being sent is a folder; of a file, false.
    pub entry_is_folder: bool,
    /// Whether this is a folder.
    pub is_folder: bool,
    /// Who uses it: connections, and the cache. Of a free entry the next free one.
    users: u16,
}

impl File {
    /// Of a folder whose head is sent: the entry that is being sent.
    #[must_use]
    pub fn entry(&self) -> Entry<'_> {
        Entry {
            name: &self.name,
            is_folder: self.entry_is_folder,
            size: self.size,
            mtime_ns: self.mtime_ns,
        }
    }

    pub(super) fn set_entry(&mut self, entry: &Entry<'_>) {
        self.name.clear();
        self.name
            .extend_from_slice(entry.name)
            .expect("a name has room");
        (self.size, self.mtime_ns) = (entry.size, entry.mtime_ns);
        self.entry_is_folder = entry.is_folder;
    }
}

/// Open files, at most `N`. All zeroes is an empty table, and an entry is touched only when used.
pub struct FileTable<const N: usize> {
    entries: [File; N],
    touched: u16,
    first_free: u16,
}

impl<const N: usize> FileTable<N> {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N > 0 && N < u16::MAX as usize) };
        const FREE: File = File {
            descriptor: Descriptor::NONE,
            name: Vec::new(),
            size: 0,
            mtime_ns: 0,
            links: 0,
            entry_is_folder: false,
            is_folder: false,
            users: 0,
        };
        Self {
            entries: [FREE; N],
            touched: 0,
            first_free: 0,
        }
    }

    /// Keeps an open file for one user. There is an entry for every connection and every place of
    /// the cache, so there is always room.
    pub fn insert(&mut self, found: OpenFile) -> FileSlot {
        let slot = if self.first_free != 0 {
            let slot = self.first_free;
            self.first_free = self.entries[usize::from(slot) - 1].users;
            slot
        } else {
            assert!(usize::from(self.touched) < N, "one file for each user");
            self.touched += 1;
            self.touched
        };
        let file = &mut self.entries[usize::from(slot) - 1];
        assert!(!file.descriptor.is_open(), "a free entry has no descriptor");
        file.descriptor = found.descriptor.into();
        file.name.clear();
        file.name
            .extend_from_slice(&found.name)
            .expect("both hold a name");
        file.size = found.metadata.size;
        file.mtime_ns = found.metadata.mtime_ns;
        file.links = found.metadata.links;
        file.entry_is_folder = false;
        file.is_folder = found.metadata.is_folder;
        file.users = 1;
        FileSlot(slot)
    }

    /// Counts one user more.
    pub fn share(&mut self, slot: FileSlot) -> FileSlot {
        let file = self.get(slot);
        assert!(file.descriptor.is_open(), "only what is open is shared");
        file.users += 1;
        slot
    }

    /// Counts one user less; the last one closes the file and frees its entry.
    pub fn release(&mut self, slot: FileSlot) {
        let first_free = self.first_free;
        let file = self.get(slot);
        assert!(file.descriptor.is_open(), "an entry is freed once");
        file.users -= 1;
        if file.users == 0 {
            file.descriptor.close();
            file.users = first_free;
            self.first_free = slot.0;
        }
    }

    /// The file in a place that is taken.
    pub fn get(&mut self, slot: FileSlot) -> &mut File {
        &mut self.entries[usize::from(slot.0).checked_sub(1).expect("a file")]
    }
}

impl<const N: usize> Default for FileTable<N> {
    fn default() -> Self {
        Self::new()
    }
}
