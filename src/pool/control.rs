//! What other programs of this machine can ask of the server: `trainyard eject`.

use heapless::Vec;

use crate::eject::protocol::{Answer, REQUEST_BYTES_MAX, is_meant};
use crate::limits::{EJECT_MS, RETRY_MS};
use crate::sys::{self, Descriptor, Errno};

/// The socket by which they ask, and the one who does now.
pub struct Control {
    listener: Descriptor,
    /// The paths by which the root can be named.
    names: &'static [std::vec::Vec<u8>],
    /// More may want to ask.
    is_called: bool,
    asker: Descriptor,
    request: Vec<u8, REQUEST_BYTES_MAX>,
    until_ms: u64,
    /// The request is whole, and about this server.
    is_asked: bool,
}

impl Control {
    /// By this listener, if it is open, of a root with these names.
    #[must_use]
    pub fn new(listener: Descriptor, names: &'static [std::vec::Vec<u8>]) -> Self {
        Self {
            listener,
            names,
            is_called: false,
            asker: Descriptor::NONE,
            request: Vec::new(),
            until_ms: 0,
            is_asked: false,
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
    /// whom the server runs as. True when the root is to be let go, once for each.
    pub(super) fn take(&mut self, now_ms: u64) -> bool {
        while self.is_called && !self.asker.is_open() {
            match sys::accept_local(&self.listener) {
                Ok((asker, user)) if user == 0 || user == sys::ids().user => {
                    (self.asker, self.until_ms) = (asker, now_ms + EJECT_MS);
                    self.request.clear();
                }
                // It sees its end without an answer.
                Ok((mut asker, _)) => asker.close(),
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(_) => self.is_called = false,
            }
        }
        self.asker.is_open() && !self.is_asked && self.receive(now_ms)
    }

    /// Receives the request, as far as it has come; true when it is whole, and about this server.
    fn receive(&mut self, now_ms: u64) -> bool {
        let mut bytes = [0; REQUEST_BYTES_MAX];
        loop {
            match sys::receive(self.asker.raw(), &mut bytes, false) {
                Ok(0) => break,
                Ok(size) if self.request.extend_from_slice(&bytes[..size]).is_ok() => {}
                Err(Errno::EAGAIN) if now_ms < self.until_ms => return false,
                Ok(_) | Err(_) => {
                    self.asker.close();
                    return false;
                }
            }
        }
        self.is_asked = is_meant(&self.request, self.names);
        if !self.is_asked {
            self.answer(Answer::Other);
        }
        self.is_asked
    }

    /// Whether somebody waits until the root is let go.
    pub(super) fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// Answers with the root's path and whether all workers have let go of it, once they have, or after
    /// the time for it.
    pub(super) fn settle(&mut self, have_let_go: bool, path: &[u8], now_ms: u64) {
        if !have_let_go && now_ms < self.until_ms {
            return;
        }
        self.answer(if have_let_go {
            Answer::Gone(path)
        } else {
            Answer::Held(path)
        });
        self.is_asked = false;
    }

    fn answer(&mut self, answer: Answer) {
        // Who does not read it wants none.
        let _ = sys::send(self.asker.raw(), &answer.to_bytes(), false);
        self.asker.close();
    }

    /// When [`Control::take`] and [`Control::settle`] have to come again.
    pub(super) fn next_ms(&self, now_ms: u64) -> Option<u64> {
        self.asker.is_open().then_some(now_ms + RETRY_MS)
    }
}
