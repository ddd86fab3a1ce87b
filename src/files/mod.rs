//! The files beneath the root: opening them, keeping them open, listing folders. Nothing here knows a protocol.
//!
//! ```text
//! path ──Root::find──▶ OpenFile ──FileTable::insert──▶ FileSlot ──the last user's release──▶ closed
//!            │            │                             │    ▲
//!            ▼            ▼                             └────┘
//!        OpenError     dropped: closed                  share: one user more
//!
//! path ──Cache::locate──▶ known, not too old, not told to have changed ──▶ Resolution
//!                │                                                           ▲
//!                └──▶ forgotten ──resolve: index file, coded copies──────────┘
//!
//! folder ──Walk::begin──▶ reading ──step──▶ ready ──next──▶ entry after entry ──▶ the folder's end
//!                            ▲                                 │
//!                            └──step: the pass is over─────────┘
//! ```
//!
//! Who owns a descriptor: an [`OpenFile`], until it is dropped or a table takes it in; then the table's entry, for
//! as long as it has users. Each connection is one user, and each entry of the cache. Who has a [`FileSlot`] gives
//! it back once, by [`FileTable::release`]. A folder's entry in the table also holds the position of its listing,
//! so it has one user only. The descriptors of the root and of the file that is pushed keep their numbers for good,
//! so that threads can share them while they are opened anew.

mod cache;
mod open_error;
mod open_file;
mod probe;
mod pushed;
mod resolve;
mod root;
mod selection;
mod table;
mod walk;
mod watches;

pub use cache::{CACHED_FILES_BYTES, Cache};
pub use open_error::OpenError;
pub use open_file::OpenFile;
pub use pushed::Pushed;
pub use resolve::{CachedFile, Lookup, Resolution};
pub use root::{Root, read_folder};
pub use table::{File, FileSlot, FileTable, Files};
pub use walk::{LOOKS_MAX, Progress, Walk, WalkEntry, WalkNext, seek};
