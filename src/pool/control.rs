//! What other programs of this machine can ask of the server: `trainyard eject`.

use heapless::Vec;

use crate::limits::{EJECT_MS, PATH_MAX, RETRY_MS};
use crate::sys::{self, Descriptor, Errno};

/// The socket by which they ask, and the one who does now.
pub struct Control {
    listener: Descriptor,
    /// More may want to ask.
    is_called: bool,
    asker: Descriptor,
    until_ms: u64,
}

impl Control {
    /// By this listener, if it is open.
    #[must_use]
    pub fn new(listener: Descriptor) -> Self {
        Self {
            listener,
            is_called: false,
            asker: Descriptor::NONE,
            until_ms: 0,
        }
    }

    /// Its events, edge-triggered, mean [`Control::call`].
    pub(super) fn listener(&self) -> &Descriptor {
        &self.listener
    }

    /// Somebody wants to ask.
    pub(super) fn call(&mut self) {
        self.is_called = true;
    }

    /// Takes the next one who asks and may, when the one before has been answered: root, and the user
    /// whom the server runs as. True when there is one.
    pub(super) fn take(&mut self, now_ms: u64) -> bool {
        while self.is_called && !self.asker.is_open() {
            match sys::accept_local(&self.listener) {
                Ok((asker, user)) if user == 0 || user == sys::ids().user => {
                    (self.asker, self.until_ms) = (asker, now_ms + EJECT_MS);
                    return true;
                }
                // It sees its end without an answer.
                Ok((mut asker, _)) => asker.close(),
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(_) => self.is_called = false,
            }
        }
        false
    }

    /// Whether somebody waits for an answer.
    pub(super) fn is_asked(&self) -> bool {
        self.asker.is_open()
    }

    /// Answers with the root's path and whether all workers have let go of it, once they have, or after
    /// the time for it.
    pub(super) fn settle(&mut self, have_let_go: bool, path: &[u8], now_ms: u64) {
        if !have_let_go && now_ms < self.until_ms {
            return;
        }
        let mut answer: Vec<u8, { PATH_MAX + 8 }> = Vec::new();
        let word: &[u8] = if have_let_go { b"gone " } else { b"held " };
        let _ = answer.extend_from_slice(word);
        let shown = &path[..path.len().min(PATH_MAX)];
        let _ = answer.extend_from_slice(shown);
        // Who does not read it wants none.
        let _ = sys::send(self.asker.raw(), &answer, false);
        self.asker.close();
    }

    /// When [`Control::settle`] has to come again.
    pub(super) fn next_ms(&self, now_ms: u64) -> Option<u64> {
        self.is_asked().then_some(now_ms + RETRY_MS)
    }
}
