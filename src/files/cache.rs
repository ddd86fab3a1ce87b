//! The cache: files that are kept open between requests, and the bytes of small ones.
//!
//! Files are kept set-associatively: a path's hash chooses a set of a few entries, of which one that was not
//! used recently gives way (NRU, by one bit an entry). The bytes of small files have fewer places, which are
//! given by CLOCK with admission: a hand goes round, one in sixteen of the files that want a place moves it,
//! and it takes the first place whose file was not used since it last came by.
//!
//! A file is known by its path. It is forgotten as soon as inotify(7) tells that something happened
//! to its name or to a folder above it, and after a second in any case: not every file system can
//! tell. What a symbolic link leads to is not kept, for nobody watches there; a file that has other
//! names is looked at anew for each request.

use heapless::Vec;

use super::resolve::{CachedFile, Lookup, Resolution, resolve};
use super::watches::{FolderWatches, Watches};
use super::{FileSlot, Files, OpenError};
use crate::encoding::{Accepted, Encoding};
use crate::limits::{
    BOARD, CACHE_WAYS, CACHED_BODY_BYTES, CACHED_PATH_BYTES, CACHED_REFRESH_MS, CHANGES_LOOK_US,
};
use crate::sys::{self, Descriptor, Metadata};

/// Bytes of what is known of the files that are kept open.
pub const CACHED_FILES_BYTES: usize = size_of::<[Entry; BOARD.cached_files]>();

const SETS: usize = BOARD.cached_files / CACHE_WAYS;
/// Of so many files without a place for their bytes one is given another's place. Otherwise many
/// files in turn would only drive each other out.
const ADMISSION: u32 = 16;
/// Reads of changes in one go. Where they come faster, everything is forgotten instead: the clients
/// must not wait for whoever writes all the time.
const EVENTS_READ_MAX: usize = 16;

/// One file. All zeroes is a free entry.
struct Entry {
    path: Vec<u8, CACHED_PATH_BYTES, u16>,
    is_folder: bool,
    accepted: Accepted,
    file: FileSlot,
    encoding: Encoding,
    varies: bool,
    content_type: Option<&'static str>,
    /// It has other names, by which it can be written to.
    has_hard_links: bool,
    /// When it was looked up, 0 for a free entry.
    checked_ms: u64,
    /// Used since the last search for a place.
    used: bool,
    /// Where its bytes are, 0 for nowhere, else body + 1.
    body: u16,
    watches: FolderWatches,
}

/// The bytes of a small file.
struct Body {
    bytes: [u8; CACHED_BODY_BYTES],
    /// Whose they are, 0 for nobody's, else entry + 1.
    entry: u16,
}

/// The cache. All zeroes is an empty one that watches nothing.
pub struct Cache {
    entries: [Entry; BOARD.cached_files],
    bodies: [Body; BOARD.cached_bodies],
    watches: Watches,
    /// When it was last looked whether something has happened, in microseconds of the monotonic clock.
    looked_us: u64,
    /// Where the search for a body's place goes on.
    hand: usize,
    /// Bodies that were wanted and had no place.
    admission_misses: u32,
    /// Sets in use.
    sets: usize,
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub const fn new() -> Self {
        const FREE: Entry = Entry {
            path: Vec::new(),
            is_folder: false,
            accepted: Accepted::NONE,
            file: FileSlot::NONE,
            encoding: Encoding::Identity,
            varies: false,
            content_type: None,
            has_hard_links: false,
            checked_ms: 0,
            used: false,
            body: 0,
            watches: FolderWatches::NONE,
        };
        const EMPTY: Body = Body {
            bytes: [0; CACHED_BODY_BYTES],
            entry: 0,
        };
        Self {
            entries: [FREE; BOARD.cached_files],
            bodies: [EMPTY; BOARD.cached_bodies],
            watches: Watches::new(),
            looked_us: 0,
            hand: 0,
            admission_misses: 0,
            sets: 0,
        }
    }

    /// Begins to watch for changes. Where the system has no room for that, entries only age. `sharers`
    /// caches keep no more files than one, together.
    pub fn start(&mut self, sharers: usize) {
        self.sets = (SETS / sharers).max(1);
        self.watches.start();
    }

    /// Watches for changes no more, before anything is watched: entries only age from now on.
    pub fn stop_watching(&mut self) {
        self.watches.stop();
    }

    /// Whether a change of some file would be told.
    #[must_use]
    pub fn is_watching(&self) -> bool {
        self.watches.is_any()
    }

    /// Readable when [`Cache::forget_changed`] has something to do, if it is open.
    #[must_use]
    pub fn watcher(&self) -> &Descriptor {
        self.watches.descriptor()
    }

    /// Finds what is at `path`, which has no slash at its ends; `is_folder` if one followed it. It
    /// blocks while the card is asked.
    ///
    /// # Errors
    /// See [`OpenError`]; `Io` while the root is not there.
    pub fn locate(
        &mut self,
        files: &mut Files,
        lookup: Lookup,
        path: &[u8],
        is_folder: bool,
        accepted: Accepted,
        now_ms: u64,
    ) -> Result<Resolution, OpenError> {
        let set = hash(path, is_folder) % self.sets * CACHE_WAYS;
        let found = (set..set + CACHE_WAYS).find(|index| {
            let entry = &self.entries[*index];
            entry.checked_ms != 0
                && entry.is_folder == is_folder
                && entry.accepted == accepted
                && entry.path == path
        });
        if let Some(index) = found {
            if now_ms - self.entries[index].checked_ms < CACHED_REFRESH_MS
                && self.is_unchanged(files, index)
            {
                return Ok(Resolution::File(self.serve(files, index)));
            }
            self.forget(files, index);
        }
        let located = resolve(files, lookup, path, is_folder, accepted)?;
        let Resolution::File(mut served) = located else {
            return Ok(located);
        };
        if path.len() > CACHED_PATH_BYTES || served.is_via_symlink {
            return Ok(located);
        }
        let (watches, is_new) = self.watches.add(lookup.root.descriptor(), path, is_folder);
        if is_new {
            // What happened before the watch began was not told: look again.
            files.release(served.file);
            match resolve(files, lookup, path, is_folder, accepted) {
                Ok(Resolution::File(again)) => served = again,
                other => {
                    self.watches.remove(watches);
                    return other;
                }
            }
        }
        let index = self.make_room(files, set);
        let entry = &mut self.entries[index];
        entry.path.clear();
        entry
            .path
            .extend_from_slice(path)
            .expect("checked above to have room");
        (entry.is_folder, entry.accepted) = (is_folder, accepted);
        entry.file = served.file;
        (entry.encoding, entry.varies) = (served.encoding, served.varies);
        entry.content_type = Some(served.content_type);
        (entry.checked_ms, entry.used) = (now_ms, true);
        entry.has_hard_links = files.get(served.file).links > 1;
        entry.watches = watches;
        Ok(Resolution::File(self.serve(files, index)))
    }

    /// Whether a file that can be written to by other names is still what it was.
    fn is_unchanged(&self, files: &mut Files, index: usize) -> bool {
        let entry = &self.entries[index];
        if !entry.has_hard_links {
            return true;
        }
        let file = files.get(entry.file);
        Metadata::of(file.descriptor.raw())
            .is_ok_and(|now| now.size == file.size && now.mtime_ns == file.mtime_ns)
    }

    fn serve(&mut self, files: &mut Files, index: usize) -> CachedFile {
        let entry = &mut self.entries[index];
        entry.used = true;
        CachedFile {
            file: files.share(entry.file),
            encoding: entry.encoding,
            varies: entry.varies,
            content_type: entry.content_type.expect("every file has a type"),
            is_via_symlink: false,
            entry: index as u16 + 1,
        }
    }

    /// The bytes of a small file, if they are in memory or can be read without waiting for the card.
    pub fn body(&mut self, files: &mut Files, served: &CachedFile) -> Option<&[u8]> {
        let index = usize::from(served.entry.checked_sub(1)?);
        let file = files.get(served.file);
        let size = file.size as usize;
        if file.size > CACHED_BODY_BYTES as u64 || self.entries[index].has_hard_links {
            return None;
        }
        if self.entries[index].body == 0 {
            let place = self.make_room_for_body()?;
            let body = &mut self.bodies[place];
            let read = sys::read_at(file.descriptor.raw(), &mut body.bytes, 0, true);
            // It may have been written to while it was read.
            let now = Metadata::of(file.descriptor.raw());
            let is_whole = read == Ok(size)
                && now.is_ok_and(|now| now.size == file.size && now.mtime_ns == file.mtime_ns);
            if !is_whole {
                return None;
            }
            body.entry = index as u16 + 1;
            self.entries[index].body = place as u16 + 1;
        }
        let place = usize::from(self.entries[index].body) - 1;
        Some(&self.bodies[place].bytes[..size])
    }

    /// The entry of a set that has not been used for the longest, as far as one bit can tell.
    fn make_room(&mut self, files: &mut Files, set: usize) -> usize {
        let free = (set..set + CACHE_WAYS).find(|index| self.entries[*index].checked_ms == 0);
        if let Some(index) = free {
            return index;
        }
        let unused = (set..set + CACHE_WAYS).find(|index| !self.entries[*index].used);
        for entry in &mut self.entries[set..set + CACHE_WAYS] {
            entry.used = false;
        }
        let oldest = || {
            (set..set + CACHE_WAYS)
                .min_by_key(|index| self.entries[*index].checked_ms)
                .expect("a set is never empty")
        };
        let index = unused.unwrap_or_else(oldest);
        self.forget(files, index);
        index
    }

    /// A place for a body: a free one, or sometimes that of a file that was not used since the hand
    /// came by.
    fn make_room_for_body(&mut self) -> Option<usize> {
        loop {
            self.hand = (self.hand + 1) % BOARD.cached_bodies;
            let Some(owner) = usize::from(self.bodies[self.hand].entry).checked_sub(1) else {
                return Some(self.hand);
            };
            self.admission_misses = self.admission_misses.wrapping_add(1);
            if !self.admission_misses.is_multiple_of(ADMISSION) {
                return None;
            }
            if !core::mem::take(&mut self.entries[owner].used) {
                self.entries[owner].body = 0;
                self.bodies[self.hand].entry = 0;
                return Some(self.hand);
            }
        }
    }

    fn forget(&mut self, files: &mut Files, index: usize) {
        let entry = &mut self.entries[index];
        assert!(entry.checked_ms != 0, "an entry is forgotten once");
        entry.checked_ms = 0;
        files.release(core::mem::replace(&mut entry.file, FileSlot::NONE));
        if let Some(body) = usize::from(core::mem::take(&mut entry.body)).checked_sub(1) {
            self.bodies[body].entry = 0;
        }
        let watches = core::mem::replace(&mut entry.watches, FolderWatches::NONE);
        self.watches.remove(watches);
    }

    /// Notes that until `now_us`, on the monotonic clock, nothing has happened that is not forgotten.
    pub fn note_look(&mut self, now_us: u64) {
        self.looked_us = now_us;
    }

    /// Whether something may have happened since the last look, as far as the clock tells.
    #[must_use]
    pub fn needs_look(&self) -> bool {
        self.is_watching() && sys::now_us() - self.looked_us >= CHANGES_LOOK_US
    }

    /// Forgets the files to which something happened.
    pub fn forget_changed(&mut self, files: &mut Files) {
        self.note_look(sys::now_us());
        let mut buffer = [0; 4096];
        for _ in 0..EVENTS_READ_MAX {
            let Ok(events) = sys::events(self.watches.descriptor(), &mut buffer) else {
                return;
            };
            for event in events {
                for index in 0..self.entries.len() {
                    let entry = &self.entries[index];
                    let is_told = entry.checked_ms != 0
                        && self.watches.concerns(
                            &entry.watches,
                            &entry.path,
                            entry.is_folder,
                            &event,
                        );
                    if is_told {
                        self.forget(files, index);
                    }
                }
            }
        }
        self.clear(files);
    }

    /// Forgets everything.
    pub fn clear(&mut self, files: &mut Files) {
        for index in 0..self.entries.len() {
            if self.entries[index].checked_ms != 0 {
                self.forget(files, index);
            }
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::new()
    }
}

/// FNV-1a.
fn hash(path: &[u8], is_folder: bool) -> usize {
    let seed = 0x811c_9dc5_u32 ^ u32::from(is_folder);
    let mixed = path.iter().fold(seed, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    (mixed ^ (mixed >> 15)) as usize
}
