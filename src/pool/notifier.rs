//! What the supervisor is told by a datagram each (sd_notify(3)), from fixed buffers.

use core::fmt::{Arguments, Write};

use heapless::Vec;

use crate::sys::{self, Descriptor};

const DATAGRAM_BYTES: usize = 128;

/// Tells the supervisor, if there is one.
pub struct Notifier {
    /// Connected to the supervisor, or none.
    socket: Descriptor,
    /// How often it wants to hear from the dispatcher; `None` for never.
    beat_ms: Option<u64>,
    next_ms: u64,
}

impl Notifier {
    /// One that tells by `socket`, if that is open, and every `beat_ms`.
    #[must_use]
    pub fn new(socket: Descriptor, beat_ms: Option<u64>) -> Self {
        Self {
            beat_ms: beat_ms.filter(|_| socket.is_open()),
            socket,
            next_ms: 0,
        }
    }

    /// The server is ready; `has_root` unless that is waited for.
    pub(super) fn ready(&self, has_root: bool) {
        self.tell(format_args!("READY=1\nSTATUS={}", state(has_root)));
    }

    /// It stops, with so many clients.
    pub(super) fn stopping(&self, held: usize, waiting: usize) {
        self.tell(format_args!(
            "STOPPING=1\nSTATUS=stopping: {held} clients, {waiting} wait"
        ));
    }

    /// Comes in every turn of the dispatcher: when it is time, says that it is well, and how many
    /// clients there are.
    pub(super) fn beat(&mut self, now_ms: u64, has_root: bool, held: usize, waiting: usize) {
        let Some(beat_ms) = self.beat_ms else { return };
        if now_ms >= self.next_ms {
            self.next_ms = now_ms + beat_ms;
            self.tell(format_args!(
                "WATCHDOG=1\nSTATUS={}: {held} clients, {waiting} wait",
                state(has_root)
            ));
        }
    }

    /// When [`Notifier::beat`] has to come again.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.beat_ms.map(|_| self.next_ms)
    }

    fn tell(&self, text: Arguments) {
        if !self.socket.is_open() {
            return;
        }
        let mut datagram: Vec<u8, DATAGRAM_BYTES> = Vec::new();
        let written = datagram.write_fmt(text);
        assert!(written.is_ok(), "every text fits");
        // A supervisor that takes none now misses this one; it never holds up the clients.
        if let Err(errno) = sys::send(self.socket.raw(), &datagram, false) {
            log::debug!("the supervisor was not told: {errno}");
        }
    }
}

/// What the server does, in a word.
fn state(has_root: bool) -> &'static str {
    if has_root {
        "serving"
    } else {
        "the root is not there"
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// A notifier, and the supervisor's end.
    fn notifier(beat_ms: Option<u64>) -> (Notifier, UnixDatagram) {
        let (own, other) = UnixDatagram::pair().unwrap();
        own.set_nonblocking(true).unwrap();
        other.set_nonblocking(true).unwrap();
        let own = Descriptor::from(OwnedFd::from(own));
        (Notifier::new(own, beat_ms), other)
    }

    fn heard(supervisor: &UnixDatagram) -> Option<String> {
        let mut bytes = [0; 256];
        let size = supervisor.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..size].to_vec()).unwrap())
    }

    #[test]
    fn the_supervisor_hears_how_the_server_is() {
        let (mut notifier, supervisor) = notifier(Some(500));
        notifier.ready(true);
        let told = heard(&supervisor).unwrap();
        assert_eq!(told, "READY=1\nSTATUS=serving");
        notifier.ready(false);
        let told = heard(&supervisor).unwrap();
        assert_eq!(told, "READY=1\nSTATUS=the root is not there");
        assert_eq!(notifier.next_ms(), Some(0));
        notifier.beat(1000, true, 3, 4);
        let told = heard(&supervisor).unwrap();
        assert_eq!(told, "WATCHDOG=1\nSTATUS=serving: 3 clients, 4 wait");
        assert_eq!(notifier.next_ms(), Some(1500));
        notifier.beat(1499, true, 3, 4);
        assert_eq!(heard(&supervisor), None, "not yet");
        notifier.beat(1500, true, 3, 4);
        assert!(heard(&supervisor).is_some());
        notifier.stopping(5, 6);
        let told = heard(&supervisor).unwrap();
        assert_eq!(told, "STOPPING=1\nSTATUS=stopping: 5 clients, 6 wait");
    }

    #[test]
    fn a_supervisor_that_is_not_there_or_does_not_listen_holds_up_nothing() {
        let mut nobody = Notifier::new(Descriptor::NONE, Some(500));
        nobody.ready(true);
        nobody.beat(1000, true, 0, 0);
        assert_eq!(nobody.next_ms(), None);
        let (mut silent, supervisor) = notifier(None);
        silent.beat(1000, true, 0, 0);
        assert_eq!((silent.next_ms(), heard(&supervisor)), (None, None));
        for _ in 0..10_000 {
            silent.stopping(usize::MAX, usize::MAX);
        }
    }
}
