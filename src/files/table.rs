//! The table of open files: one entry for each file that is being sent.

use heapless::Vec;

use super::OpenFile;
use crate::entry::Entry;
use crate::limits::{FILES_MAX, NAME_BYTES};
use crate::sys::Descriptor;
use crate::table::{Slot, Table};

/// The table of open files that a worker's cache shares with its connections.
pub type Files = FileTable<FILES_MAX>;

/// A place in the table, or none, which is all zeroes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileSlot(Option<Slot<File>>);

impl FileSlot {
    /// No file.
    pub const NONE: Self = Self(None);

    /// Whether there is a file.
    #[must_use]
    pub fn is_some(self) -> bool {
        self.0.is_some()
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
    /// Who uses it: connections, and the cache.
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
    table: Table<File, N>,
}

impl<const N: usize> FileTable<N> {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
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
            table: Table::new([FREE; N]),
        }
    }

    /// Keeps an open file for one user. There is an entry for every connection and every place of
    /// the cache, so there is always room.
    pub fn insert(&mut self, found: OpenFile) -> FileSlot {
        let slot = self.table.take().expect("one file for each user");
        let file = self.table.get(slot);
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
        FileSlot(Some(slot))
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
        let file = self.get(slot);
        assert!(file.descriptor.is_open(), "an entry is freed once");
        file.users -= 1;
        if file.users == 0 {
            file.descriptor.close();
            self.table.free(slot.0.expect("a file"));
        }
    }

    /// Whether no file is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The file in a place that is taken.
    pub fn get(&mut self, slot: FileSlot) -> &mut File {
        self.table.get(slot.0.expect("a file"))
    }
}

impl<const N: usize> Default for FileTable<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::files::Root;
    use crate::sys::Metadata;

    #[test]
    fn a_file_is_open_until_its_last_user_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), b"bytes").unwrap();
        let path = CString::new(folder.path().as_os_str().as_bytes()).unwrap();
        let root = Root::open(Box::leak(path.into_boxed_c_str())).unwrap();
        let mut files = FileTable::<2>::new();
        let slot = files.insert(root.find(b"file").unwrap());
        assert!(slot.is_some() && !FileSlot::NONE.is_some());
        assert_eq!(
            (files.get(slot).size, &files.get(slot).name[..]),
            (5, &b"file"[..])
        );
        assert_eq!(files.share(slot), slot);
        files.release(slot);
        let raw = files.get(slot).descriptor.raw();
        assert!(Metadata::of(raw).is_ok_and(|metadata| metadata.size == 5));
        let other = files.insert(root.find(b"").unwrap());
        assert!(other != slot && files.get(other).is_folder);
        files.release(slot);
        assert_eq!(
            files.insert(root.find(b"file").unwrap()),
            slot,
            "its place is free"
        );
    }
}
