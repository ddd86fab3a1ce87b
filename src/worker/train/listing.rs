//! The listing of a folder, as one connection's turns. A worker's connections share one listing.

use crate::entry::Order;
use crate::files::Progress;
use crate::sys::{self, Errno};
use crate::train::{CAR_SIZE_MAX, Fault};
use crate::worker::conn::state::{Phase, Queue, Slot};
use crate::worker::{Step, Turns, Worker, fingerprint};

/// When a connection can use the listing.
pub(crate) enum Turn {
    Mine,
    Later,
    /// The folder cannot be read.
    Never,
}

impl Worker {
    pub(crate) fn begin_listing(&mut self, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        connection.phase = Phase::Listing;
        (connection.skip, connection.within) = (0, 0);
        // The head is sent: from now on the name is that of the entry where the next car starts.
        self.files.get(connection.file).name.clear();
        Step::Again
    }

    /// Reads a part of the folder, or sends a batch of its listing.
    pub(crate) fn list(&mut self, turns: &Turns, slot: Slot) -> Step {
        match self.take_listing(slot, Order::NAME) {
            Turn::Mine => {}
            Turn::Later => return Step::Wait,
            Turn::Never => return Step::End,
        }
        let file = self.connections.get(slot).file;
        self.await_client(turns, slot);
        match self.listing.step(self.files.get(file), |_| true) {
            Ok(Progress::More) => Step::Again,
            Ok(Progress::Ready) => self.send_listing(turns, slot),
            Ok(Progress::TooMany) => unreachable!("by name there are never too many"),
            Err(errno) => self.listing_failed(turns, slot, errno),
        }
    }

    /// Ends a listing that can't be whole. A train says so where a car begins; over HTTP the connection
    /// ends early.
    pub(crate) fn listing_failed(&mut self, turns: &Turns, slot: Slot, errno: Errno) -> Step {
        log::warn!("a folder cannot be read: {errno}; its listing ends early");
        self.leave_listing(slot);
        let connection = self.connections.get(slot);
        if connection.phase == Phase::Listing && connection.within == 0 {
            self.fail(turns, slot, Fault::Io);
            return Step::Again;
        }
        turns.setting.gauges.report_fault();
        Step::End
    }

    /// Gets the listing for a connection, or a place in its queue.
    pub(crate) fn take_listing(&mut self, slot: Slot, order: Order) -> Turn {
        let owner = slot.index() as u16 + 1;
        let connection = self.connections.get(slot);
        if self.listing_owner != 0 && self.listing_owner != owner {
            connection.queued = Queue::Listing;
            self.listing_queue.push_back(&mut self.connections, slot);
            // It waits for the worker now, not for its client.
            self.deadlines.disarm(&mut self.connections, slot);
            return Turn::Later;
        }
        self.listing_owner = owner;
        if self.listing_is_begun {
            return Turn::Mine;
        }
        match self.listing.begin(self.files.get(connection.file), order) {
            Ok(()) => {
                self.listing_is_begun = true;
                Turn::Mine
            }
            Err(_) => Turn::Never,
        }
    }

    fn send_listing(&mut self, turns: &Turns, slot: Slot) -> Step {
        let connection = self.connections.get(slot);
        let file = self.files.get(connection.file);
        let laid = self
            .listing
            .lay_cars(file, connection.skip, &mut self.buffer);
        let (laid, at_end) = match laid {
            Ok(laid) => laid,
            Err(errno) => return self.listing_failed(turns, slot, errno),
        };
        if laid == 0 {
            // No car is full yet, for too few of the entries that were looked at are shown.
            return Step::Again;
        }
        let within = usize::from(connection.within);
        if within > 0 {
            // A part of this car is sent; the rest must be what it was.
            let car = laid.min(CAR_SIZE_MAX);
            if laid < within || fingerprint(&self.buffer[..car]) != connection.answer_check {
                log::debug!("a folder changed while its listing was sent; the listing ends early");
                return Step::End;
            }
        }
        let sent_now = match sys::send(connection.socket.raw(), &self.buffer[within..laid], !at_end)
        {
            Ok(sent_now) => sent_now,
            Err(Errno::EAGAIN) => 0,
            Err(_) => return Step::End,
        };
        if sent_now > 0 {
            connection.advance(sent_now);
        }
        if at_end && within + sent_now == laid {
            self.leave_listing(slot);
            return self.answered(turns, slot);
        }
        // The last car and the end car together can be longer than a full one, and are none.
        let cars = ((within + sent_now) / CAR_SIZE_MAX).min(self.listing.cars());
        connection.within = (within + sent_now - cars * CAR_SIZE_MAX) as u16;
        let car = &self.buffer[cars * CAR_SIZE_MAX..laid];
        connection.answer_check = fingerprint(&car[..car.len().min(CAR_SIZE_MAX)]);
        connection.skip = self.listing.advance_cars(file, cars);
        if within + sent_now == laid {
            return Step::Again;
        }
        // A slow client must not keep the listing from the others.
        self.leave_listing(slot);
        Step::Wait
    }

    /// Gives the listing to the next one, if this connection has it. The next one owns it from now on,
    /// not from its turn on: if it ends before, its end gives the listing on, and who waits is never
    /// left without an owner that will.
    pub(crate) fn leave_listing(&mut self, slot: Slot) {
        if self.listing_owner != slot.index() as u16 + 1 {
            return;
        }
        self.listing_is_begun = false;
        self.listing_owner = 0;
        if let Some(next) = self.listing_queue.pop_front(&mut self.connections) {
            self.listing_owner = next.index() as u16 + 1;
            self.connections.get(next).queued = Queue::None;
            self.make_ready(next);
        }
    }
}
