//! Asking and answering: the turns of one connection over the train protocol.

use crate::files::{FileSlot, Found};
use crate::limits::{BOARD, CARS_PER_BATCH_FIRST, CARS_PER_BATCH_MIN, COLD_RETRIES_MAX};
use crate::link::Protocol;
use crate::sys::{self, Errno, Opened};
use crate::train::{
    self, CAR_DATA_MAX, CAR_HEAD_SIZE, CAR_SIZE_MAX, Fault, Framing, REQUEST_SIZE_MAX,
    ResponseLayout, SIZE_OF_FOLDER, Segment,
};
use crate::worker::conn::state::{Phase, Slot, Wait};
use crate::worker::transfer::SHRANK;
use crate::worker::{Step, Turns, Worker};

impl Worker {
    /// Plans the answer of a push client, which asks for nothing.
    pub(crate) fn push(&mut self, turns: &Turns, slot: Slot) {
        let framing = turns.setting.framing;
        if !self.pushed.is_some() {
            // Its card is not there now.
            turns.setting.gauges.report_fault();
            return self.fail(turns, slot, Fault::Io);
        }
        let file = self.files.get(self.pushed);
        // The file may have grown since the start.
        if let Ok(opened) = Opened::of(file.descriptor.raw()) {
            (file.size, file.mtime_ns) = (opened.size, opened.mtime_ns);
        }
        let head = ResponseLayout::head(framing, &file.name, file.size, file.mtime_ns);
        let layout = ResponseLayout::new(framing, head.len(), 0, file.size);
        self.begin(turns, slot, layout, self.pushed);
    }

    /// Reads a request, if it is whole. A part of one stays in the kernel's buffer, so that a
    /// client that sends it in pieces takes no memory here.
    pub(crate) fn ask(&mut self, turns: &Turns, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        connection.unread = false;
        let socket = connection.socket.raw();
        let size = match sys::receive(socket, &mut self.buffer[..=REQUEST_SIZE_MAX], true) {
            Ok(0) => return Step::End,
            Ok(size) => size,
            Err(Errno::EAGAIN) => return Step::Wait,
            Err(_) => return Step::End,
        };
        let (layout, file) = match train::parse(&self.buffer[..size]) {
            // What was sent is still there to be read, but the rest will never come.
            Ok(None) if self.connections.get(slot).hung_up => return Step::End,
            Ok(None) => {
                if matches!(self.connections.get(slot).wait, Wait::Silent | Wait::Idle) {
                    self.arm(turns, slot, Wait::Request);
                }
                return Step::Wait;
            }
            Ok(Some(request)) => {
                let (offset, length, used) = (request.offset, request.length, request.size);
                let planned = turns
                    .setting
                    .root
                    .find(request.path)
                    .and_then(|found| self.layout(found, offset, length));
                // It is there: the peek has seen it.
                if sys::receive(socket, &mut self.buffer[..used], false) != Ok(used) {
                    return Step::End;
                }
                self.connections.get(slot).unread = size > used;
                planned.unwrap_or_else(|fault| (ResponseLayout::fault(fault), FileSlot::NONE))
            }
            Err(fault) => (ResponseLayout::fault(fault), FileSlot::NONE),
        };
        self.begin(turns, slot, layout, file);
        self.answer(turns, slot)
    }

    /// Plans the answer to a request, and keeps what was found open for it.
    fn layout(
        &mut self,
        found: Found,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(ResponseLayout, FileSlot), Fault> {
        let size = found.opened.size;
        let (framing, size, last) = if found.opened.is_folder {
            (Framing::Folder, SIZE_OF_FOLDER, 0)
        } else {
            (Framing::Ask, size, size)
        };
        if offset > last {
            return Err(Fault::Malformed);
        }
        let head = ResponseLayout::head(framing, &found.name, size, found.opened.mtime_ns);
        let data_size = length.unwrap_or(u64::MAX).min(last - offset);
        Ok((
            ResponseLayout::new(framing, head.len(), offset, data_size),
            self.files.insert(found),
        ))
    }

    pub(crate) fn begin(
        &mut self,
        turns: &Turns,
        slot: Slot,
        layout: ResponseLayout,
        file: FileSlot,
    ) {
        self.release_file(slot);
        let connection = self.connections.get(slot);
        connection.file = file;
        connection.batch = CARS_PER_BATCH_FIRST;
        connection.cold_tries = 0;
        connection.answer(layout);
        self.arm(turns, slot, Wait::Stall);
    }

    /// Makes a connection's next bytes a fault, and its end.
    pub(crate) fn fail(&mut self, turns: &Turns, slot: Slot, fault: Fault) {
        if fault == Fault::Io {
            turns.setting.gauges.report_fault();
        }
        self.begin(turns, slot, ResponseLayout::fault(fault), FileSlot::NONE);
    }

    /// Sends what it can of an answer.
    pub(crate) fn answer(&mut self, turns: &Turns, slot: Slot) -> Step {
        self.await_client(turns, slot);
        let start = self.connections.get(slot).sent;
        loop {
            let connection = self.connections.get(slot);
            if connection.sent - start >= BOARD.turn_bytes as u64 {
                return Step::Again;
            }
            let segment = connection.layout.segment(connection.position);
            let framing = connection.layout.framing;
            let sent = match (connection.layout.as_fault(), segment) {
                (_, Segment::Done) => return self.answered(turns, slot),
                (Some(fault), Segment::Head(at)) => {
                    sys::send(connection.socket.raw(), &fault.car()[at..], false)
                }
                (None, Segment::Raw(within)) => self.send_raw(slot, within),
                (None, Segment::Head(at))
                    if matches!(framing, Framing::Folder | Framing::Raw | Framing::RawEnd) =>
                {
                    self.send_head(slot, at)
                }
                (None, Segment::Head(_) | Segment::Cars(..) | Segment::End(_)) => {
                    self.send_cars(slot, segment)
                }
                (Some(_), _) => unreachable!("a fault has a head only"),
            };
            match sent {
                Ok(sent_now) => self.connections.get(slot).advance(sent_now),
                Err(Errno::EAGAIN) => return Step::Wait,
                Err(errno) => return self.cannot_send(turns, slot, errno),
            }
        }
    }

    fn send_head(&mut self, slot: Slot, at: usize) -> Result<usize, Errno> {
        let connection = self.connections.get(slot);
        let file = self.files.get(connection.file);
        let size = if file.is_folder {
            SIZE_OF_FOLDER
        } else {
            file.size
        };
        let head = ResponseLayout::head(connection.layout.framing, &file.name, size, file.mtime_ns);
        let more = connection.layout.data_size > 0 || file.is_folder;
        sys::send(connection.socket.raw(), &head[at..], more)
    }

    fn send_raw(&mut self, slot: Slot, within: u64) -> Result<usize, Errno> {
        let layout = &self.connections.get(slot).layout;
        let (offset, size) = (layout.offset + within, layout.data_size - within);
        self.send_bytes(slot, offset, size)
    }

    /// Sends head, cars and end car from the connection's position, as far as one batch goes.
    fn send_cars(&mut self, slot: Slot, segment: Segment) -> Result<usize, Errno> {
        let connection = self.connections.get(slot);
        let layout = connection.layout;
        // Where the laying stands, where the sending starts, and the first car.
        let (mut used, skip, car) = match segment {
            Segment::Head(at) => {
                let file = self.files.get(connection.file);
                let head =
                    ResponseLayout::head(layout.framing, &file.name, file.size, file.mtime_ns);
                assert_eq!(head.len() as u64, layout.head_size());
                self.buffer[..head.len()].copy_from_slice(&head);
                (head.len(), at, 0)
            }
            Segment::Cars(car, within) => (0, within, car),
            Segment::End(at) => (0, at, layout.cars()),
            Segment::Raw(_) | Segment::Done => unreachable!("handled by the caller"),
        };
        let wanted = (layout.cars() - car).min(u64::from(connection.batch));
        let got = if wanted > 0 {
            self.lay_cars(slot, car, wanted as usize, used)?
        } else {
            0
        };
        if got > 0 {
            used +=
                (got - 1) * CAR_SIZE_MAX + CAR_HEAD_SIZE + layout.car_data(car + got as u64 - 1);
        }
        if car + got as u64 == layout.cars() {
            self.buffer[used..][..CAR_HEAD_SIZE].fill(0);
            used += CAR_HEAD_SIZE;
        }
        let connection = self.connections.get(slot);
        let sent = sys::send(connection.socket.raw(), &self.buffer[skip..used], false);
        if let Ok(sent_now) = sent {
            // The next batch is what the socket took: reading more would be reading it twice.
            let took = (sent_now / CAR_SIZE_MAX) as u16;
            let next = if sent_now < used - skip {
                took
            } else {
                connection.batch.saturating_mul(2)
            };
            connection.batch = next.clamp(CARS_PER_BATCH_MIN, BOARD.cars_per_batch_max as u16);
        }
        sent
    }

    /// Lays up to `wanted` cars from `car` into the buffer from `at`. Returns how many: those that
    /// the page cache holds whole.
    fn lay_cars(&mut self, slot: Slot, car: u64, wanted: usize, at: usize) -> Result<usize, Errno> {
        let connection = self.connections.get(slot);
        let layout = connection.layout;
        let file = self.files.get(connection.file).descriptor.raw();
        let last_data = layout.car_data(car + wanted as u64 - 1);
        let size = (wanted - 1) * CAR_SIZE_MAX + CAR_HEAD_SIZE + last_data;
        let room = &mut self.buffer[at..][..size];
        let cached_only = connection.cold_tries < COLD_RETRIES_MAX;
        let offset = layout.offset + car * CAR_DATA_MAX as u64;
        let read = match sys::read_cars(file, room, offset, cached_only) {
            Ok(read) => read,
            Err(Errno::EAGAIN) => return Err(self.ask_card(slot, offset)),
            Err(_) => return Err(SHRANK),
        };
        let whole = if read == (wanted - 1) * CAR_DATA_MAX + last_data {
            wanted
        } else {
            read / CAR_DATA_MAX
        };
        if whole == 0 {
            // Either the end of the file, or the page behind this one is not there yet.
            return Err(if read > 0 && cached_only {
                self.ask_card(slot, offset)
            } else {
                SHRANK
            });
        }
        connection.cold_tries = 0;
        for index in 0..whole {
            let length = layout.car_data(car + index as u64) as i32;
            room[index * CAR_SIZE_MAX..][..CAR_HEAD_SIZE].copy_from_slice(&length.to_le_bytes());
        }
        Ok(whole)
    }

    /// Ends a transfer in the midst of it.
    pub(crate) fn break_off(&mut self, turns: &Turns, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        if connection.phase != Phase::Answering
            || connection.protocol != Protocol::Ask
            || !matches!(
                connection.layout.segment(connection.position),
                Segment::Head(0) | Segment::Cars(_, 0)
            )
        {
            return Step::End;
        }
        self.fail(turns, slot, Fault::Io);
        Step::Again
    }

    /// Goes on after the last byte of an answer.
    pub(crate) fn answered(&mut self, turns: &Turns, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        if connection.layout.as_fault().is_some() {
            return self.begin_lingering(turns, slot);
        }
        if connection.phase == Phase::Answering && connection.layout.framing == Framing::Folder {
            return self.begin_listing(slot);
        }
        match connection.protocol {
            Protocol::Http => self.request_answered(turns, slot, false),
            Protocol::Push if connection.layout.framing == Framing::RawEnd => {
                connection.phase = Phase::Acknowledging;
                connection.moment_ms = turns.now_ms;
                self.arm(turns, slot, Wait::Acknowledge);
                Step::Wait
            }
            Protocol::Push => self.close_gently(turns, slot),
            Protocol::Ask => {
                connection.phase = Phase::Asking;
                let unread = connection.unread;
                self.release_file(slot);
                self.arm(turns, slot, Wait::Idle);
                if unread && !self.draining {
                    return Step::Again;
                }
                if self.draining || turns.setting.gauges.claim_waiting() {
                    let _ = sys::send(
                        self.connections.get(slot).socket.raw(),
                        &Fault::Full.car(),
                        false,
                    );
                    return Step::End;
                }
                Step::Wait
            }
        }
    }

    /// An event while all is sent but not acknowledged: only the client's death matters.
    pub(crate) fn acknowledge(&mut self, slot: Slot) -> Step {
        let socket = self.connections.get(slot).socket.raw();
        match sys::receive(socket, &mut self.buffer[..1], true) {
            Ok(_) | Err(Errno::EAGAIN) => Step::Wait,
            Err(_) => Step::End,
        }
    }

    /// For `raw-end`: begins the pause before the end car once the client has all of the file.
    pub(crate) fn look_for_acknowledgement(&mut self, turns: &Turns, slot: Slot) {
        let connection = self.connections.get(slot);
        let left = sys::unacknowledged(connection.socket.raw());
        let acknowledged = connection.sent - left.min(connection.sent);
        if acknowledged > connection.acknowledged {
            (connection.acknowledged, connection.moment_ms) = (acknowledged, turns.now_ms);
        }
        if left == 0 {
            self.arm(turns, slot, Wait::Pause);
        } else if turns.now_ms - connection.moment_ms >= BOARD.stall_ms {
            self.end(turns, slot);
        } else {
            self.arm(turns, slot, Wait::Acknowledge);
        }
    }

    /// For `raw-end`: the end car, all that is left to send.
    pub(crate) fn send_late_end(&mut self, turns: &Turns, slot: Slot) {
        let file = self.connections.get(slot).file;
        self.begin(
            turns,
            slot,
            ResponseLayout::new(Framing::Plain, 0, 0, 0),
            file,
        );
    }
}
