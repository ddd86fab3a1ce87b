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

    /// Its events, edge-triggered, mean [`Control::on_connect`].
    pub(super) fn listener(&self) -> &Descriptor {
        &self.listener
    }

    /// Somebody wants to ask.
    pub(super) fn on_connect(&mut self) {
        self.is_called = true;
    }

    /// Takes the next one who asks and may, when the one before has been answered: root, and the user
    /// whom the server runs as. True when the root is to be let go, once for each.
    pub(super) fn poll_request(&mut self, now_ms: u64) -> bool {
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
    pub(super) fn answer_if_due(&mut self, have_let_go: bool, path: &[u8], now_ms: u64) {
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

    /// When [`Control::poll_request`] and [`Control::answer_if_due`] have to come again.
    pub(super) fn next_ms(&self, now_ms: u64) -> Option<u64> {
        self.asker.is_open().then_some(now_ms + RETRY_MS)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    /// One that listens by this name.
    fn control(name: &str) -> (Control, String) {
        let name = format!("trainyard/test/{name}/{}", sys::process_id());
        let names = vec![b"/srv/card".to_vec()];
        let listener = sys::listen_locally(&name).unwrap();
        (Control::new(listener, names.leak()), name)
    }

    /// Somebody who asks for this, and may go on.
    fn asker(name: &str, request: &[u8]) -> UnixStream {
        let connected = sys::connect_locally(name, Duration::from_millis(900)).unwrap();
        let mut asker = UnixStream::from(connected);
        asker.write_all(request).unwrap();
        asker.set_nonblocking(true).unwrap();
        asker
    }

    fn end(asker: &UnixStream) {
        asker.shutdown(Shutdown::Write).unwrap();
    }

    /// The answer, if it is whole.
    fn answer(asker: &mut UnixStream) -> Option<String> {
        let mut answer = String::new();
        asker.read_to_string(&mut answer).ok().map(|_| answer)
    }

    #[test]
    fn a_request_is_answered_once_the_workers_have_let_go() {
        let (mut control, name) = control("whole");
        assert!(!control.poll_request(1000) && control.next_ms(1000).is_none());
        let mut one = asker(&name, b"\0/srv");
        assert!(!control.poll_request(1000), "no event has told of it");
        control.on_connect();
        assert!(
            !control.poll_request(1000) && !control.is_asked(),
            "not whole"
        );
        assert_eq!(control.next_ms(1000), Some(1000 + RETRY_MS));
        end(&one);
        assert!(control.poll_request(1001) && control.is_asked());
        assert!(!control.poll_request(1001), "once for each");
        let mut two = asker(&name, b"");
        end(&two);
        control.on_connect();
        assert!(
            !control.poll_request(1002),
            "the first one waits for its answer"
        );
        control.answer_if_due(false, b"/srv/card", 1000 + EJECT_MS - 1);
        assert_eq!(answer(&mut one), None);
        control.answer_if_due(true, b"/srv/card", 1000 + EJECT_MS - 1);
        assert_eq!(answer(&mut one).unwrap(), "gone /srv/card");
        assert!(!control.is_asked());
        assert!(control.poll_request(1100), "now the second one");
        control.answer_if_due(false, b"/srv/card", 1100 + EJECT_MS);
        assert_eq!(answer(&mut two).unwrap(), "held /srv/card");
        assert!(!control.poll_request(1200) && control.next_ms(1200).is_none());
    }

    #[test]
    fn what_is_not_meant_or_not_asked_in_time_is_let_go() {
        let (mut control, name) = control("other");
        let mut other = asker(&name, b"\0/mnt");
        end(&other);
        let mut slow = asker(&name, b"\0/srv");
        let mut long = asker(&name, &[b'x'; REQUEST_BYTES_MAX + 1]);
        end(&long);
        control.on_connect();
        assert!(!control.poll_request(1000));
        assert_eq!(answer(&mut other).unwrap(), "other");
        assert!(!control.poll_request(2000));
        assert!(!control.poll_request(2000 + EJECT_MS - 1));
        assert_eq!(answer(&mut slow), None);
        assert!(!control.poll_request(2000 + EJECT_MS));
        assert_eq!(answer(&mut slow).unwrap(), "");
        assert!(!control.poll_request(3000 + EJECT_MS));
        assert_ne!(answer(&mut long), Some("other".into()));
        assert!(control.next_ms(0).is_none());
    }
}
