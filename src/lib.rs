//! trainyard serves the files of one folder to many clients at once, on memory that is fixed
//! before the first client connects.
//!
//! The modules, from the top down; a module uses only those below it, which `tests/tidy.rs` holds
//! it to. The programs `main` and `bin/train-get` stand above them all.

pub mod serve; // the order of start-up, from the command line to "ready"

pub mod budget; // where every byte goes

pub mod command; // the server's command line

pub mod pool; // who gets a socket

pub mod worker; // what happens to it

pub mod link; // what pool and worker say to each other

pub mod eject; // asking a server that runs to let go of the card

pub mod http; // HTTP/1.1: bytes in, what is asked and answered out

pub mod train; // the train protocol: bytes in, response plan out

pub mod files; // the files beneath the root

pub mod encoding; // content codings

pub mod entry; // an entry of a folder, and the orders of entries

pub mod gauge; // the few numbers that dispatcher and workers show each other

pub mod logger; // one write a line, from a fixed buffer

pub mod table; // values at fixed places, the free ones in a list

pub mod memory; // the arena that is sealed before the first client

pub mod sys; // system calls

pub mod limits; // the board's capacities
