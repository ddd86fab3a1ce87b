//! The listing that a worker's connections share, one at a time: a lock that is handed over.
//!
//! Nobody waits for a listing that is free: whoever has it hands it to the first in the queue when it
//! gives it back, and that one has it from then on, not from its turn on. So also one that ends before
//! its turn hands it on.

use crate::entry::Order;
use crate::files::{File, Listing};
use crate::sys::Errno;

/// The listing, and whether some connection has it. All zeroes is a free one.
pub(crate) struct SharedListing {
    pub(crate) listing: Listing,
    is_held: bool,
    /// Who has it has begun to read its folder.
    is_begun: bool,
}

impl SharedListing {
    pub(crate) const fn new() -> Self {
        Self {
            listing: Listing::new(),
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
            self.listing.begin(folder, order)?;
            self.is_begun = true;
        }
        Ok(())
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
