//! The listing that a worker's connections share, one at a time: a lock that is handed over.
//!
//! Nobody waits for a listing that is free: whoever has it hands it to the first in the queue when it
//! gives it back, and that one has it from then on, not from its turn on. So also one that ends before
//! its turn hands it on.

use crate::entry::Order;
use crate::files::{File, Walk};
use crate::sys::Errno;
use crate::worker::http::rows::Rows;
use crate::worker::train::cars::Cars;

/// The listing, and whether some connection has it. All zeroes is a free one.
pub(crate) struct SharedListing {
    pub(crate) walk: Walk,
    /// What the walk has come to, laid for one send.
    pub(crate) rows: Rows,
    pub(crate) cars: Cars,
    is_held: bool,
    /// Who has it has begun to read its folder.
    is_begun: bool,
}

impl SharedListing {
    pub(crate) const fn new() -> Self {
        Self {
            walk: Walk::new(),
            rows: Rows::new(),
            cars: Cars::new(),
            is_held: false,
            is_begun: false,
        }
    }

    /// Whether some connection has it.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Gets the listing for a connection, and begins to read its folder. `holds` says whether this
    /// connection has it, and stays false if another one does.
    ///
    /// # Errors
    /// What lseek(2) says of the folder; the connection has the listing then.
    pub(crate) fn acquire(
        &mut self,
        holds: &mut bool,
        folder: &File,
        order: Order,
    ) -> Result<(), Errno> {
        if self.is_held && !*holds {
            return Ok(());
        }
        (self.is_held, *holds) = (true, true);
        if !self.is_begun {
            self.begin(folder, order)?;
            self.is_begun = true;
        }
        Ok(())
    }

    /// Begins to list the entries of `folder` that follow its position in this order.
    ///
    /// # Errors
    /// `EIO` when the folder can't be read any more.
    pub(crate) fn begin(&mut self, folder: &File, order: Order) -> Result<(), Errno> {
        self.cars.clear();
        self.walk.begin(folder, order)
    }

    /// Takes the listing back from a connection, if that has it.
    pub(crate) fn give_back(&mut self, holds: &mut bool) {
        if core::mem::take(holds) {
            (self.is_held, self.is_begun) = (false, false);
        }
    }

    /// Gives the free listing to the connection that has waited for it the longest.
    pub(crate) fn hand_over(&mut self, holds: &mut bool) {
        assert!(!self.is_held && !*holds, "one connection has it at a time");
        (self.is_held, *holds) = (true, true);
    }
}

#[cfg(test)]
mod tests;
