//! A file to a socket, for both protocols: what is in the page cache leaves at once, for the rest the
//! card is asked.

use super::conn::state::{Queue, Slot, Wait};
use super::{Step, Turns, Worker};
use crate::limits::{BOARD, COLD_RETRIES_MAX};
use crate::sys::{self, Errno};

impl Worker {
    /// What follows a failure to send.
    pub(crate) fn cannot_send(&mut self, turns: &Turns, slot: Slot, errno: Errno) -> Step {
        match errno {
            // The others have their turns meanwhile.
            COLD => {
                self.arm(turns, slot, Wait::Cold);
                Step::Wait
            }
            SHRANK => self.cut_short(turns, slot),
            _ => Step::End,
        }
    }

    /// Opens a stall window, unless one is open.
    pub(crate) fn await_client(&mut self, turns: &Turns, slot: Slot) {
        if self.connections.get(slot).wait != Wait::Stall {
            self.arm(turns, slot, Wait::Stall);
        }
    }

    /// Sends some of the `size` bytes that lie at `offset` of the connection's file, straight from
    /// the page cache.
    pub(crate) fn send_bytes(
        &mut self,
        slot: Slot,
        offset: u64,
        size: u64,
    ) -> Result<usize, Errno> {
        let connection = self.connections.get(slot);
        let socket = connection.socket.raw();
        let file = self.files.get(connection.file).descriptor.raw();
        let count = size.min(BOARD.turn_bytes as u64) as usize;
        if connection.cold_tries < COLD_RETRIES_MAX && offset + count as u64 > connection.warm_end {
            // sendfile has no way to say that it would wait for the card.
            let starts_anew = offset != connection.warm_end;
            let far = size.min(WARM_BYTES);
            let probes = [starts_anew.then_some(1), Some(far), Some(count as u64)];
            match probe(file, offset, probes) {
                Ok(warm) => connection.warm_end = offset + warm,
                Err(COLD) => return Err(self.ask_card(slot, offset)),
                Err(errno) => return Err(errno),
            }
        }
        connection.cold_tries = 0;
        match sys::send_file(socket, file, offset, count) {
            Ok(0) | Err(Errno::EIO) => Err(SHRANK),
            result => result,
        }
    }

    /// Asks for the pages that are missing from `offset` on.
    pub(crate) fn ask_card(&mut self, slot: Slot, offset: u64) -> Errno {
        let connection = self.connections.get(slot);
        connection.cold_tries += 1;
        if connection.cold_tries % 8 == 1 {
            let file = self.files.get(connection.file).descriptor.raw();
            sys::advise_needed(file, offset, 2 * BOARD.turn_bytes as u64);
        }
        COLD
    }

    /// The file cannot give what was promised. A train that can still say so does; otherwise the
    /// connection ends early, so that nothing looks whole.
    pub(crate) fn cut_short(&mut self, turns: &Turns, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        let name = core::str::from_utf8(&self.files.get(connection.file).name)
            .unwrap_or("(a name that is not UTF-8)");
        log::warn!("{name}: shrank or cannot be read; its transfer ends early");
        turns.setting.gauges.report_fault();
        self.break_off(turns, slot)
    }

    /// A stall window has passed: the transfer ends if it moved nothing, or too little while
    /// others wait.
    pub(crate) fn stalled(&mut self, turns: &Turns, slot: Slot) {
        let connection = self.connections.get(slot);
        let left = sys::unacknowledged(connection.socket.raw());
        if left == 0 {
            // The client waits for us: the kernel had no memory for more, and no event tells when it has.
            self.arm(turns, slot, Wait::Stall);
            if self.connections.get(slot).queued == Queue::None {
                self.make_ready(slot);
            }
            return;
        }
        let acknowledged = connection.sent - left.min(connection.sent);
        let moved = acknowledged.saturating_sub(connection.acknowledged);
        let least = BOARD.rate_min_bytes_per_s * BOARD.stall_ms / 1000;
        if moved == 0 || (moved < least && turns.setting.gauges.has_waiting()) {
            log::debug!(
                "a client stopped reading and loses its place ({moved} bytes in {} ms)",
                BOARD.stall_ms
            );
            return self.end(turns, slot);
        }
        connection.acknowledged = acknowledged;
        self.arm(turns, slot, Wait::Stall);
    }
}

/// Looks whether bytes from `offset` on are in the page cache, by the last byte of each of these
/// sizes; the first one must be, then the largest that is counts.
fn probe(file: i32, offset: u64, sizes: [Option<u64>; 3]) -> Result<u64, Errno> {
    let is_warm = |size: u64| match sys::read_at(file, &mut [0], offset + size - 1, true) {
        Ok(1..) => Ok(true),
        Err(Errno::EAGAIN) => Ok(false),
        Ok(0) | Err(_) => Err(SHRANK),
    };
    let [first, far, near] = sizes;
    if let Some(first) = first
        && !is_warm(first)?
    {
        return Err(COLD);
    }
    for size in [far, near].into_iter().flatten() {
        if is_warm(size)? {
            return Ok(size);
        }
    }
    Err(COLD)
}

/// Bytes that are looked for in the page cache at once.
const WARM_BYTES: u64 = 4 * BOARD.turn_bytes as u64;
/// The page cache lacks what is to be sent. (An errno that no call here returns.)
pub(crate) const COLD: Errno = Errno::EINPROGRESS;
/// The file ended before its size, or cannot be read. (An errno that no call here returns.)
pub(crate) const SHRANK: Errno = Errno::ENODATA;
