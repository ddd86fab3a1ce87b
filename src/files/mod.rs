//! The files beneath the root: opening them, keeping them open, listing folders.

mod cache;
mod found;
mod open_error;
mod probe;
mod pushed;
mod resolve;
mod root;
mod selection;
mod table;
mod walk;
mod watches;

pub use cache::{CACHED_FILES_BYTES, Cache, Files};
pub use found::Found;
pub use open_error::OpenError;
pub use pushed::Pushed;
pub use resolve::{Located, Lookup, Served};
pub use root::{Root, read_folder};
pub use table::{File, FileSlot, FileTable};
pub use walk::{LOOKS_MAX, Progress, Walk, WalkEntry, WalkNext, seek};
