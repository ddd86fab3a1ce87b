//! The overflow responder: tells HTTP clients that have waited too long that the server is full. It has a
//! few slots of the dispatcher's own, so that no client loses a place for it.

use crate::http::HttpConfig;
use crate::limits::{BOARD, HTTP_GENERATED_BYTES_MAX, HTTP_HEAD_BYTES_MAX, OVERFLOW_MAX};
use crate::sys::{self, Descriptor, Errno};
use crate::worker;

/// A client that has its answer and has yet to read it. All zeroes is a free place.
struct Lingering {
    socket: Descriptor,
    until_ms: u64,
    discarded: usize,
}

/// The responder and its places.
pub struct OverflowResponder {
    lingering: [Lingering; OVERFLOW_MAX],
    http_config: &'static HttpConfig,
    clock_floor_s: u64,
}

impl OverflowResponder {
    /// One without clients, which answers as these say.
    #[must_use]
    pub fn new(http_config: &'static HttpConfig, clock_floor_s: u64) -> Self {
        const FREE: Lingering = Lingering {
            socket: Descriptor::NONE,
            until_ms: 0,
            discarded: 0,
        };
        Self {
            lingering: [FREE; OVERFLOW_MAX],
            http_config,
            clock_floor_s,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.lingering.iter().any(|place| !place.socket.is_open())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.lingering.iter().all(|place| !place.socket.is_open())
    }

    /// Answers a client that the server has no place for. One that has asked for nothing yet is
    /// closed without a word.
    pub(super) fn respond(&mut self, mut socket: Descriptor, now_ms: u64) {
        let free = self
            .lingering
            .iter_mut()
            .find(|place| !place.socket.is_open());
        let place = free.expect("the caller has asked whether there is room");
        let mut request = [0; HTTP_HEAD_BYTES_MAX];
        let Ok(size @ 1..) = sys::receive(socket.raw(), &mut request, false) else {
            socket.close();
            return;
        };
        let mut answer = [0; HTTP_GENERATED_BYTES_MAX];
        let made = worker::turn_away(
            &request[..size],
            self.http_config,
            self.clock_floor_s,
            &mut answer,
        );
        // It is the first thing that is sent on this socket, so there is room for all of it.
        let _ = sys::send(socket.raw(), &answer[..made], false);
        sys::shutdown_write(socket.raw());
        *place = Lingering {
            socket,
            until_ms: now_ms + BOARD.linger_ms,
            discarded: 0,
        };
    }

    /// Reads what the clients still send, so that no reset eats their answers, until they close.
    pub(super) fn discard_rest(&mut self, now_ms: u64) {
        let mut room = [0; 4096];
        for place in self
            .lingering
            .iter_mut()
            .filter(|place| place.socket.is_open())
        {
            let is_over = loop {
                match sys::receive(place.socket.raw(), &mut room, false) {
                    Ok(size @ 1..) if place.discarded < BOARD.linger_bytes => {
                        place.discarded += size;
                    }
                    Err(Errno::EAGAIN) => break now_ms >= place.until_ms,
                    _ => break true,
                }
            };
            if is_over {
                place.socket.close();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::super::doubles::connection;
    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: yard\r\n\r\n";

    fn responder() -> OverflowResponder {
        OverflowResponder::new(Box::leak(Box::new(HttpConfig::default())), 0)
    }

    /// A client that was turned away after it had sent this.
    fn turned_away(responder: &mut OverflowResponder, sent: &[u8], now_ms: u64) -> UnixStream {
        let (socket, mut client) = connection();
        client.write_all(sent).unwrap();
        responder.respond(socket, now_ms);
        client
    }

    /// What a client can read: up to the end, or `None` while there is more to come.
    fn all(client: &mut UnixStream) -> Option<Vec<u8>> {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).ok().map(|_| answer)
    }

    fn is_closed(client: &mut UnixStream) -> bool {
        client.write_all(b"x").is_err()
    }

    #[test]
    fn who_has_asked_is_told_to_come_later() {
        let mut responder = responder();
        assert!(responder.is_idle());
        let mut client = turned_away(&mut responder, REQUEST, 1000);
        assert!(!responder.is_idle());
        let answer = String::from_utf8(all(&mut client).unwrap()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("\r\nRetry-After: "), "{answer}");
        // It may still send, and has its time to read.
        responder.discard_rest(1000 + BOARD.linger_ms - 1);
        assert!(!is_closed(&mut client));
        responder.discard_rest(1000 + BOARD.linger_ms - 1);
        assert!(!responder.is_idle());
        responder.discard_rest(1000 + BOARD.linger_ms);
        assert!(responder.is_idle() && is_closed(&mut client));
    }

    #[test]
    fn who_has_not_asked_is_closed() {
        let mut responder = responder();
        let mut client = turned_away(&mut responder, b"", 1000);
        assert!(responder.is_idle());
        assert_eq!(all(&mut client).unwrap(), b"");
        assert!(is_closed(&mut client));
    }

    #[test]
    fn who_closes_or_sends_too_much_is_closed_at_once() {
        let mut responder = responder();
        let client = turned_away(&mut responder, REQUEST, 1000);
        drop(client);
        responder.discard_rest(1000);
        assert!(responder.is_idle());
        let mut client = turned_away(&mut responder, REQUEST, 1000);
        let mut sent = 0;
        while sent < BOARD.linger_bytes {
            sent += client.write(&[0; 1024]).unwrap();
            responder.discard_rest(1000);
        }
        assert!(!responder.is_idle(), "as much as it may");
        client.write_all(b"more").unwrap();
        responder.discard_rest(1000);
        assert!(responder.is_idle());
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut responder = responder();
        let mut clients = Vec::new();
        for _ in 0..OVERFLOW_MAX {
            assert!(responder.has_room());
            clients.push(turned_away(&mut responder, REQUEST, 1000));
        }
        assert!(!responder.has_room());
        drop(clients.swap_remove(3));
        responder.discard_rest(1000);
        assert!(responder.has_room() && !responder.is_idle());
    }
}
