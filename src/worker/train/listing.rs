//! The listing of a folder as a train.

use crate::entry::Order;
use crate::files::Progress;
use crate::sys::Errno;
use crate::train::{CAR_SIZE_MAX, Fault};
use crate::worker::checksum::checksum;
use crate::worker::conn::activity::Activity;
use crate::worker::conn::connection::Connection;
use crate::worker::conn::state::Wait;
use crate::worker::io::{Io, SendError};
use crate::worker::next::Next;
use crate::worker::socket::Socket;
use crate::worker::train::exchange;

/// Reads a part of the folder, or sends a batch of its listing.
pub(crate) fn poll<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    let folder = io.store.files.get(conn.file);
    if io
        .listing
        .acquire(&mut conn.holds_listing, folder, Order::NAME)
        .is_err()
    {
        return Next::Close;
    }
    if !conn.holds_listing {
        return Next::ForListing;
    }
    conn.timer.start_unless(Wait::Stall);
    match io.listing.walk.step(folder, |_| true) {
        Ok(Progress::More) => Next::Again,
        Ok(Progress::Ready) => send(conn, io),
        Ok(Progress::TooMany) => unreachable!("by name there are never too many"),
        Err(errno) => fail(conn, io, errno),
    }
}

fn send<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    let Activity::TrainListing(state) = &mut conn.activity else {
        unreachable!("it sends a listing");
    };
    let folder = io.store.files.get(conn.file);
    let laid = io
        .listing
        .cars
        .lay(&mut io.listing.walk, folder, state.entry_offset, io.out);
    let (laid, at_end) = match laid {
        Ok(laid) => laid,
        Err(errno) => return fail(conn, io, errno),
    };
    if laid == 0 {
        // No car is full yet, for too few of the entries that were looked at are shown.
        return Next::Again;
    }
    let start = usize::from(state.car_offset);
    if start > 0 {
        // A part of this car is sent; the rest must be what it was.
        let car = laid.min(CAR_SIZE_MAX);
        if laid < start || checksum(&io.out[..car]) != state.resend_checksum {
            log::debug!("a folder changed while its listing was sent; the listing ends early");
            return Next::Close;
        }
    }
    let sent = match io.send_out(start..laid, !at_end) {
        Ok(sent) => sent,
        Err(SendError::WouldBlock) => 0,
        Err(_) => return Next::Close,
    };
    let end = start + sent;
    if at_end && end == laid {
        io.listing.give_back(&mut conn.holds_listing);
        return exchange::next_request(conn, io);
    }
    // The last car and the end car together can be longer than a full one, and are none.
    let cars = (end / CAR_SIZE_MAX).min(io.listing.cars.count());
    state.car_offset = (end - cars * CAR_SIZE_MAX) as u16;
    let car = &io.out[cars * CAR_SIZE_MAX..laid];
    state.resend_checksum = checksum(&car[..car.len().min(CAR_SIZE_MAX)]);
    let folder = io.store.files.get(conn.file);
    state.entry_offset = io.listing.cars.advance(&io.listing.walk, folder, cars);
    if end == laid {
        return Next::Again;
    }
    // A slow client must not keep the listing from the others.
    io.listing.give_back(&mut conn.holds_listing);
    Next::Wait
}

/// Ends a listing that can't be whole. It says so where a car begins; otherwise the connection ends
/// early.
fn fail<S: Socket>(conn: &mut Connection, io: &mut Io<S>, errno: Errno) -> Next {
    log::warn!("a folder cannot be read: {errno}; its listing ends early");
    io.listing.give_back(&mut conn.holds_listing);
    let Activity::TrainListing(state) = &conn.activity else {
        unreachable!("it sends a listing");
    };
    if state.car_offset > 0 {
        io.config.gauges.report_fault();
        return Next::Close;
    }
    exchange::fail(conn, io, Fault::Io);
    Next::Again
}
