//! Which folders are watched for which entries of the cache.

use core::ffi::CStr;
use core::fmt::Write;

use heapless::Vec;

use crate::limits::{BOARD, CACHED_PATH_BYTES};
use crate::sys::{self, Descriptor, Event};

/// Folders from the root to a file that can be watched for it.
const DEPTH_MAX: usize = 8;

/// One watched folder. All zeroes is none.
#[derive(Clone, Copy)]
struct Watch {
    number: i32,
    users: u16,
}

/// The watches that an entry relies on: of the root, and of each folder on the way to the file.
/// 0 for none, else index + 1. All zeroes is none.
pub(super) struct FolderWatches([u8; DEPTH_MAX]);

impl FolderWatches {
    pub(super) const NONE: Self = Self([0; DEPTH_MAX]);
}

/// All watches of a worker. All zeroes is none.
pub(super) struct Watches {
    watcher: Descriptor,
    all: [Watch; BOARD.watched_folders],
    /// How many of them there are.
    count: usize,
}

impl Watches {
    pub(super) const fn new() -> Self {
        const NONE: Watch = Watch {
            number: 0,
            users: 0,
        };
        Self {
            watcher: Descriptor::NONE,
            all: [NONE; BOARD.watched_folders],
            count: 0,
        }
    }

    pub(super) fn start(&mut self) {
        match sys::watcher() {
            Ok(watcher) => self.watcher = watcher,
            Err(errno) => log::warn!(
                "changes of files are not told ({errno}), so they are seen a second later: \
                 raise fs.inotify.max_user_instances"
            ),
        }
    }

    pub(super) fn stop(&mut self) {
        assert!(self.count == 0, "no entry relies on a watch yet");
        self.watcher.close();
    }

    pub(super) fn descriptor(&self) -> &Descriptor {
        &self.watcher
    }

    pub(super) fn is_any(&self) -> bool {
        self.count > 0
    }

    /// Watches the folders on the way to `path`. The second value says whether a watch is new.
    pub(super) fn add(
        &mut self,
        root: &Descriptor,
        path: &[u8],
        is_folder: bool,
    ) -> (FolderWatches, bool) {
        let mut watches = FolderWatches::NONE;
        let mut is_any_new = false;
        if !self.watcher.is_open() {
            return (watches, false);
        }
        for (place, folder) in watches.0.iter_mut().zip(folders(path, is_folder)) {
            // The root is known by its descriptor only.
            let mut name: Vec<u8, { CACHED_PATH_BYTES + 32 }> = Vec::new();
            let _ = write!(name, "/proc/self/fd/{}/", root.raw());
            let _ = name.extend_from_slice(folder);
            let _ = name.push(0);
            let Some(number) = CStr::from_bytes_with_nul(&name)
                .ok()
                .and_then(|name| sys::watch(&self.watcher, name).ok())
            else {
                break;
            };
            let known = self.all.iter().position(|watch| watch.number == number);
            let free = || self.all.iter().position(|watch| watch.users == 0);
            let Some(index) = known.or_else(free) else {
                sys::unwatch(&self.watcher, number);
                break;
            };
            let watch = &mut self.all[index];
            watch.number = number;
            watch.users += 1;
            if watch.users == 1 {
                is_any_new = true;
                self.count += 1;
            }
            *place = index as u8 + 1;
        }
        (watches, is_any_new)
    }

    /// An entry relies on these no more.
    pub(super) fn remove(&mut self, watches: FolderWatches) {
        for index in watches
            .0
            .into_iter()
            .filter_map(|place| place.checked_sub(1))
        {
            let watch = &mut self.all[usize::from(index)];
            watch.users -= 1;
            if watch.users == 0 {
                sys::unwatch(&self.watcher, watch.number);
                watch.number = 0;
                self.count -= 1;
            }
        }
    }

    /// Whether an event may be about the file of this path, or what leads to it.
    pub(super) fn concerns(
        &self,
        watches: &FolderWatches,
        path: &[u8],
        is_folder: bool,
        event: &Event,
    ) -> bool {
        if event.watch < 0 {
            return true;
        }
        let places = watches.0.iter().map_while(|place| place.checked_sub(1));
        let components = path
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty());
        let mut components = components.map(Some).chain([None]);
        places.into_iter().any(|index| {
            let component = components.next().flatten();
            if self.all[usize::from(index)].number != event.watch {
                return false;
            }
            match component {
                // Its index file may have come or gone.
                None => is_folder,
                // The name itself, or one that it begins, as that of a precompressed variant.
                Some(component) => event.name.is_empty() || event.name.starts_with(component),
            }
        })
    }
}

/// The root and each folder on the way to `path`, without slashes at the ends.
fn folders(path: &[u8], is_folder: bool) -> impl Iterator<Item = &[u8]> {
    let slashes = path
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(at, _)| &path[..at]);
    let last = (is_folder && !path.is_empty()).then_some(path);
    core::iter::once(&path[..0]).chain(slashes).chain(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_on_the_way_is_watched() {
        let all = |path, is_folder| folders(path, is_folder).collect::<std::vec::Vec<_>>();
        assert_eq!(all(b"a", false), [b""]);
        assert_eq!(all(b"", true), [b""]);
        assert_eq!(all(b"a/b/c", false), [&b""[..], b"a", b"a/b"]);
        assert_eq!(all(b"a/b", true), [&b""[..], b"a", b"a/b"]);
    }

    #[test]
    fn an_event_concerns_what_its_name_leads_to() {
        let mut watches = Watches::new();
        for (index, number) in [7, 8, 9].into_iter().enumerate() {
            watches.all[index] = Watch { number, users: 1 };
        }
        let folder_watches = FolderWatches([1, 2, 3, 0, 0, 0, 0, 0]);
        let concerns = |watch, name, is_folder| {
            let event = Event { watch, name };
            watches.concerns(&folder_watches, b"a/b", is_folder, &event)
        };
        assert!(concerns(7, b"a", false));
        assert!(!concerns(7, b"b", false));
        assert!(concerns(8, b"b", false));
        assert!(concerns(8, b"b.gz", false));
        assert!(concerns(8, b"", false));
        assert!(!concerns(8, b"c", false));
        assert!(concerns(9, b"index.html", true));
        assert!(!concerns(10, b"a", false));
        assert!(concerns(-1, b"", false), "events were lost");
    }
}
