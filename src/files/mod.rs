//! The files beneath the root: opening them, keeping them open, listing folders.

mod listing;
mod root;
mod selection;
mod table;
mod walk;

pub use listing::{Listing, RowsEnd, seek};
pub use root::{Found, Root, pushed};
pub use table::{File, FileSlot, FileTable};
pub use walk::Progress;
