//! What other programs of this machine can ask of the server: `trainyard eject`.

use heapless::Vec;

use crate::limits::{EJECT_MS, PATH_MAX, RETRY_MS};
use crate::sys::{self, Descriptor, Errno};

/// Bytes of a request: two paths, each behind a NUL. More is none.
const REQUEST_BYTES: usize = 2 * (PATH_MAX + 1);

/// The socket by which they ask, and the one who does now.
pub struct Control {
    listener: Descriptor,
    /// The paths by which the root can be named.
    names: &'static [std::vec::Vec<u8>],
    /// More may want to ask.
    is_called: bool,
    asker: Descriptor,
    request: Vec<u8, REQUEST_BYTES>,
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
        let mut bytes = [0; REQUEST_BYTES];
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
        self.is_asked = self.request.is_empty() || is_meant(&self.request, self.names);
        if !self.is_asked {
            self.answer(b"other");
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
        let mut answer: Vec<u8, { PATH_MAX + 8 }> = Vec::new();
        let word: &[u8] = if have_let_go { b"gone " } else { b"held " };
        let _ = answer.extend_from_slice(word);
        let _ = answer.extend_from_slice(&path[..path.len().min(PATH_MAX)]);
        self.answer(&answer);
        self.is_asked = false;
    }

    fn answer(&mut self, bytes: &[u8]) {
        // Who does not read it wants none.
        let _ = sys::send(self.asker.raw(), bytes, false);
        self.asker.close();
    }

    /// When [`Control::take`] and [`Control::settle`] have to come again.
    pub(super) fn next_ms(&self, now_ms: u64) -> Option<u64> {
        self.asker.is_open().then_some(now_ms + RETRY_MS)
    }
}

/// Whether one of the names is, or lies beneath, one of the paths of a request.
fn is_meant(request: &[u8], names: &[std::vec::Vec<u8>]) -> bool {
    let mut paths = request
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty());
    paths.any(|path| {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let rests = names.iter().filter_map(|name| name.strip_prefix(path));
        rests
            .into_iter()
            .any(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_meant_by_its_names_and_by_what_is_above() {
        let names = [b"/media/link/films".to_vec(), b"/srv/card/films".to_vec()];
        for (request, expected) in [
            (&b"\0/srv/card/films"[..], true),
            (b"\0/elsewhere\0/srv/card", true),
            (b"\0/media/link/", true),
            (b"\0/", true),
            (b"\0/srv/car", false),
            (b"\0/srv/card/films/new", false),
            (b"\0/srv/card/filmsx", false),
            (b"\0", false),
        ] {
            assert_eq!(is_meant(request, &names), expected, "{request:?}");
        }
    }
}
