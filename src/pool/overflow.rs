//! The overflow responder: tells HTTP clients that have waited too long that the server is full. It has a
//! few slots of the dispatcher's own, so that no client loses a place for it.

use crate::http::HttpConfig;
use crate::limits::{BOARD, HTTP_GENERATED_BYTES_MAX, HTTP_HEAD_BYTES_MAX, TURNED_AWAY_MAX};
use crate::sys::{self, Descriptor, Errno};
use crate::worker;

/// A client that has its answer and has yet to read it. All zeroes is a free place.
struct Leaving {
    socket: Descriptor,
    until_ms: u64,
    discarded: usize,
}

/// The responder and its places.
pub struct OverflowResponder {
    leaving: [Leaving; TURNED_AWAY_MAX],
    http_config: &'static HttpConfig,
    clock_floor_s: u64,
}

impl OverflowResponder {
    /// One without clients, which answers as these say.
    #[must_use]
    pub fn new(http_config: &'static HttpConfig, clock_floor_s: u64) -> Self {
        const FREE: Leaving = Leaving {
            socket: Descriptor::NONE,
            until_ms: 0,
            discarded: 0,
        };
        Self {
            leaving: [FREE; TURNED_AWAY_MAX],
            http_config,
            clock_floor_s,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.leaving.iter().any(|place| !place.socket.is_open())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.leaving.iter().all(|place| !place.socket.is_open())
    }

    /// Answers a client that the server has no place for. One that has asked for nothing yet is
    /// closed without a word.
    pub(super) fn turn_away(&mut self, mut socket: Descriptor, now_ms: u64) {
        let free = self
            .leaving
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
        *place = Leaving {
            socket,
            until_ms: now_ms + BOARD.linger_ms,
            discarded: 0,
        };
    }

    /// Reads what the clients still send, so that no reset eats their answers, until they close.
    pub(super) fn tend(&mut self, now_ms: u64) {
        let mut room = [0; 4096];
        for place in self
            .leaving
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
