//! The files beneath the root: opening them, keeping them open, listing folders.

mod listing;
mod root;
mod selection;
mod table;

pub use listing::{Listing, Progress};
pub use root::{Found, Root, pushed};
pub use table::{File, FileSlot, FileTable};
