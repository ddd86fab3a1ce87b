//! Asking and answering: the turns of one connection over the train protocol.

use super::connection::{Phase, Queue};
use super::deadline::Wait;
use super::slab::Slot;
use super::{Step, Turns, Worker};
use crate::files::{FileSlot, Found};
use crate::limits::{BOARD, CARS_PER_BATCH_FIRST, CARS_PER_BATCH_MIN, COLD_RETRIES_MAX};
use crate::link::Protocol;
use crate::sys::{self, Errno, Opened};
use crate::train::{
    self, CAR_DATA_MAX, CAR_HEAD_SIZE, CAR_SIZE_MAX, Fault, Form, Plan, REQUEST_SIZE_MAX,
    SIZE_OF_FOLDER, Section,
};

impl Worker {
    /// Plans the answer of a push client, which asks for nothing.
    pub(super) fn push(&mut self, turns: &Turns, slot: Slot) {
        let form = turns.setting.form;
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
        let head = Plan::head(form, &file.name, file.size, file.mtime_ns);
        let plan = Plan::new(form, head.len(), 0, file.size);
        self.begin(turns, slot, plan, self.pushed);
    }

    /// Reads a request, if it is whole. A part of one stays in the kernel's buffer, so that a
    /// client that sends it in pieces takes no memory here.
    pub(super) fn ask(&mut self, turns: &Turns, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        connection.unread = false;
        let socket = connection.socket.raw();
        let size = match sys::receive(socket, &mut self.buffer[..=REQUEST_SIZE_MAX], true) {
            Ok(0) => return Step::End,
            Ok(size) => size,
            Err(Errno::EAGAIN) => return Step::Wait,
            Err(_) => return Step::End,
        };
        let (plan, file) = match train::parse(&self.buffer[..size]) {
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
                    .and_then(|found| self.plan(found, offset, length));
                // It is there: the peek has seen it.
                if sys::receive(socket, &mut self.buffer[..used], false) != Ok(used) {
                    return Step::End;
                }
                self.connections.get(slot).unread = size > used;
                planned.unwrap_or_else(|fault| (Plan::fault(fault), FileSlot::NONE))
            }
            Err(fault) => (Plan::fault(fault), FileSlot::NONE),
        };
        self.begin(turns, slot, plan, file);
        self.answer(turns, slot)
    }

    /// Plans the answer to a request, and keeps what was found open for it.
    fn plan(
        &mut self,
        mut found: Found,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(Plan, FileSlot), Fault> {
        let size = found.opened.size;
        let (form, size, last) = if found.opened.is_folder {
            (Form::Folder, SIZE_OF_FOLDER, 0)
        } else {
            (Form::Ask, size, size)
        };
        if offset > last {
            found.descriptor.close();
            return Err(Fault::Malformed);
        }
        let head = Plan::head(form, &found.name, size, found.opened.mtime_ns);
        let data_size = length.unwrap_or(u64::MAX).min(last - offset);
        Ok((
            Plan::new(form, head.len(), offset, data_size),
            self.files.insert(found),
        ))
    }

    pub(super) fn begin(&mut self, turns: &Turns, slot: Slot, plan: Plan, file: FileSlot) {
        self.release_file(slot);
        let connection = self.connections.get(slot);
        connection.file = file;
        connection.batch = CARS_PER_BATCH_FIRST;
        connection.cold_tries = 0;
        connection.answer(plan);
        self.arm(turns, slot, Wait::Stall);
    }

    /// Makes a connection's next bytes a fault, and its end.
    pub(super) fn fail(&mut self, turns: &Turns, slot: Slot, fault: Fault) {
        if fault == Fault::Io {
            turns.setting.gauges.report_fault();
        }
        self.begin(turns, slot, Plan::fault(fault), FileSlot::NONE);
    }

    /// Sends what it can of an answer.
    pub(super) fn answer(&mut self, turns: &Turns, slot: Slot) -> Step {
        self.await_client(turns, slot);
        let start = self.connections.get(slot).sent;
        loop {
            let connection = self.connections.get(slot);
            if connection.sent - start >= BOARD.turn_bytes as u64 {
                return Step::Again;
            }
            let section = connection.plan.section(connection.position);
            let form = connection.plan.form;
            let sent = match (connection.plan.as_fault(), section) {
                (_, Section::Done) => return self.answered(turns, slot),
                (Some(fault), Section::Head(at)) => {
                    sys::send(connection.socket.raw(), &fault.car()[at..], false)
                }
                (None, Section::Raw(within)) => self.send_raw(slot, within),
                (None, Section::Head(at))
                    if matches!(form, Form::Folder | Form::Raw | Form::RawEnd) =>
                {
                    self.send_head(slot, at)
                }
                (None, Section::Head(_) | Section::Cars(..) | Section::End(_)) => {
                    self.send_cars(slot, section)
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

    /// What follows a failure to send.
    pub(super) fn cannot_send(&mut self, turns: &Turns, slot: Slot, errno: Errno) -> Step {
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
    pub(super) fn await_client(&mut self, turns: &Turns, slot: Slot) {
        if self.connections.get(slot).wait != Wait::Stall {
            self.arm(turns, slot, Wait::Stall);
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
        let head = Plan::head(connection.plan.form, &file.name, size, file.mtime_ns);
        let more = connection.plan.data_size > 0 || file.is_folder;
        sys::send(connection.socket.raw(), &head[at..], more)
    }

    fn send_raw(&mut self, slot: Slot, within: u64) -> Result<usize, Errno> {
        let plan = &self.connections.get(slot).plan;
        let (offset, size) = (plan.offset + within, plan.data_size - within);
        self.send_bytes(slot, offset, size)
    }

    /// Sends some of the `size` bytes that lie at `offset` of the connection's file, straight from
    /// the page cache.
    pub(super) fn send_bytes(
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

    /// Sends head, cars and end car from the connection's position, as far as one batch goes.
    fn send_cars(&mut self, slot: Slot, section: Section) -> Result<usize, Errno> {
        let connection = self.connections.get(slot);
        let plan = connection.plan;
        // Where the laying stands, where the sending starts, and the first car.
        let (mut used, skip, car) = match section {
            Section::Head(at) => {
                let file = self.files.get(connection.file);
                let head = Plan::head(plan.form, &file.name, file.size, file.mtime_ns);
                assert_eq!(head.len() as u64, plan.head_size());
                self.buffer[..head.len()].copy_from_slice(&head);
                (head.len(), at, 0)
            }
            Section::Cars(car, within) => (0, within, car),
            Section::End(at) => (0, at, plan.cars()),
            Section::Raw(_) | Section::Done => unreachable!("handled by the caller"),
        };
        let wanted = (plan.cars() - car).min(u64::from(connection.batch));
        let got = if wanted > 0 {
            self.lay_cars(slot, car, wanted as usize, used)?
        } else {
            0
        };
        if got > 0 {
            used += (got - 1) * CAR_SIZE_MAX + CAR_HEAD_SIZE + plan.car_data(car + got as u64 - 1);
        }
        if car + got as u64 == plan.cars() {
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
        let plan = connection.plan;
        let file = self.files.get(connection.file).descriptor.raw();
        let last_data = plan.car_data(car + wanted as u64 - 1);
        let size = (wanted - 1) * CAR_SIZE_MAX + CAR_HEAD_SIZE + last_data;
        let room = &mut self.buffer[at..][..size];
        let cached_only = connection.cold_tries < COLD_RETRIES_MAX;
        let offset = plan.offset + car * CAR_DATA_MAX as u64;
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
            let length = plan.car_data(car + index as u64) as i32;
            room[index * CAR_SIZE_MAX..][..CAR_HEAD_SIZE].copy_from_slice(&length.to_le_bytes());
        }
        Ok(whole)
    }

    /// Asks for the pages that are missing from `offset` on.
    fn ask_card(&mut self, slot: Slot, offset: u64) -> Errno {
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
    fn cut_short(&mut self, turns: &Turns, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        let name = core::str::from_utf8(&self.files.get(connection.file).name)
            .unwrap_or("(a name that is not UTF-8)");
        log::warn!("{name}: shrank or cannot be read; its transfer ends early");
        turns.setting.gauges.report_fault();
        self.break_off(turns, slot)
    }

    /// Ends a transfer in the midst of it.
    pub(super) fn break_off(&mut self, turns: &Turns, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        if connection.phase != Phase::Answering
            || connection.protocol != Protocol::Ask
            || !matches!(
                connection.plan.section(connection.position),
                Section::Head(0) | Section::Cars(_, 0)
            )
        {
            return Step::End;
        }
        self.fail(turns, slot, Fault::Io);
        Step::Again
    }

    /// Goes on after the last byte of an answer.
    pub(super) fn answered(&mut self, turns: &Turns, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        if connection.plan.as_fault().is_some() {
            return self.begin_lingering(turns, slot);
        }
        if connection.phase == Phase::Answering && connection.plan.form == Form::Folder {
            return self.begin_listing(slot);
        }
        match connection.protocol {
            Protocol::Http => self.request_answered(turns, slot, false),
            Protocol::Push if connection.plan.form == Form::RawEnd => {
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
                if self.draining || turns.setting.gauges.promise() {
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
    pub(super) fn acknowledge(&mut self, slot: Slot) -> Step {
        let socket = self.connections.get(slot).socket.raw();
        match sys::receive(socket, &mut self.buffer[..1], true) {
            Ok(_) | Err(Errno::EAGAIN) => Step::Wait,
            Err(_) => Step::End,
        }
    }

    /// For `raw-end`: begins the pause before the end car once the client has all of the file.
    pub(super) fn look_for_acknowledgement(&mut self, turns: &Turns, slot: Slot) {
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
    pub(super) fn send_late_end(&mut self, turns: &Turns, slot: Slot) {
        let file = self.connections.get(slot).file;
        self.begin(turns, slot, Plan::new(Form::Plain, 0, 0, 0), file);
    }

    /// A stall window has passed: the transfer ends if it moved nothing, or too little while
    /// others wait.
    pub(super) fn stalled(&mut self, turns: &Turns, slot: Slot) {
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
        if moved == 0 || (moved < least && turns.setting.gauges.is_wanted()) {
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
const COLD: Errno = Errno::EINPROGRESS;
/// The file ended before its size, or cannot be read. (An errno that no call here returns.)
const SHRANK: Errno = Errno::ENODATA;
