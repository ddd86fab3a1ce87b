//! trainyard serves the files of one folder to many clients at once, on memory that is fixed
//! before the first client connects.
//!
//! The modules, from the top down; a module uses only those below it:

pub mod train;
