//! Requests and responses of the train protocol.

use crate::files::{FileSlot, Files, OpenError, OpenFile};
use crate::limits::{BOARD, CARS_PER_BATCH_MIN};
use crate::link::Protocol;
use crate::sys::{self, Errno, Metadata};
use crate::train::{
    self, CAR_DATA_MAX, CAR_HEAD_SIZE, CAR_SIZE_MAX, Fault, Framing, REQUEST_SIZE_MAX,
    ResponseLayout, SIZE_OF_FOLDER, Segment,
};
use crate::worker::conn::activity::{Activity, SendingTrain, TrainListing};
use crate::worker::conn::connection::Connection;
use crate::worker::conn::cursor::FileCursor;
use crate::worker::conn::state::Wait;
use crate::worker::io::{Io, SendError};
use crate::worker::linger;
use crate::worker::next::Next;
use crate::worker::socket::Socket;
use crate::worker::transfer;

/// Begins the response to a push client, which asks for nothing.
pub(crate) fn push<S: Socket>(conn: &mut Connection, io: &mut Io<S>) {
    let pushed = io.store.pushed;
    if !pushed.is_some() {
        // Its card is not there now.
        return fail(conn, io, Fault::Io);
    }
    let file = io.store.files.get(pushed);
    // The file may have grown since the start.
    if let Ok(opened) = Metadata::of(file.descriptor.raw()) {
        (file.size, file.mtime_ns) = (opened.size, opened.mtime_ns);
    }
    let framing = io.config.framing;
    let head = ResponseLayout::head(framing, &file.name, file.size, file.mtime_ns);
    let layout = ResponseLayout::new(framing, head.len(), 0, file.size);
    begin(conn, io, layout, pushed);
}

/// Reads a request, if it is whole. A part of one stays in the kernel's buffer, so that a client that
/// sends it in pieces takes no memory here.
pub(crate) fn receive<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    conn.has_unread = false;
    let size = match io.socket.receive(&mut io.out[..=REQUEST_SIZE_MAX], true) {
        Ok(0) => return Next::Close,
        Ok(size) => size,
        Err(Errno::EAGAIN) => return Next::Wait,
        Err(_) => return Next::Close,
    };
    let request = match train::parse(&io.out[..size]) {
        // What was sent is still there to be read, but the rest will never come.
        Ok(None) if conn.is_hung_up => return Next::Close,
        Ok(None) => {
            if matches!(conn.timer.wait(), Wait::Silent | Wait::Idle) {
                conn.timer.start(Wait::Request);
            }
            return Next::Wait;
        }
        Ok(Some(request)) => request,
        Err(fault) => {
            begin(conn, io, ResponseLayout::fault(fault), FileSlot::NONE);
            return Next::Now;
        }
    };
    let (offset, length, used) = (request.offset, request.length, request.size);
    let found = io.config.root.find(request.path);
    let laid_out = found
        .map_err(fault_of)
        .and_then(|found| lay_out(&mut io.store.files, found, offset, length));
    let (layout, file) =
        laid_out.unwrap_or_else(|fault| (ResponseLayout::fault(fault), FileSlot::NONE));
    begin(conn, io, layout, file);
    // It is there, the peek has seen it; unless the client has reset the connection since.
    if io.socket.receive(&mut io.out[..used], false) != Ok(used) {
        return Next::Close;
    }
    conn.has_unread = size > used;
    Next::Now
}

/// Lays out the response to a request, and keeps what was found open for it.
fn lay_out(
    files: &mut Files,
    found: OpenFile,
    offset: u64,
    length: Option<u64>,
) -> Result<(ResponseLayout, FileSlot), Fault> {
    let size = found.metadata.size;
    let (framing, size, last) = if found.metadata.is_folder {
        (Framing::Folder, SIZE_OF_FOLDER, 0)
    } else {
        (Framing::Ask, size, size)
    };
    if offset > last {
        return Err(Fault::Malformed);
    }
    let head = ResponseLayout::head(framing, &found.name, size, found.metadata.mtime_ns);
    let data_size = length.unwrap_or(u64::MAX).min(last - offset);
    Ok((
        ResponseLayout::new(framing, head.len(), offset, data_size),
        files.insert(found),
    ))
}

fn begin<S: Socket>(conn: &mut Connection, io: &mut Io<S>, layout: ResponseLayout, file: FileSlot) {
    io.store.release(&mut conn.file);
    conn.file = file;
    conn.activity = Activity::SendingTrain(SendingTrain {
        layout,
        position: 0,
        cursor: FileCursor::START,
    });
    conn.timer.start(Wait::Stall);
}

/// Makes a connection's next bytes a fault, and its end.
pub(crate) fn fail<S: Socket>(conn: &mut Connection, io: &mut Io<S>, fault: Fault) {
    if fault == Fault::Io {
        io.config.gauges.report_fault();
    }
    begin(conn, io, ResponseLayout::fault(fault), FileSlot::NONE);
}

/// Sends what it can of a train.
pub(crate) fn send<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    conn.timer.start_unless(Wait::Stall);
    let Activity::SendingTrain(train) = &mut conn.activity else {
        unreachable!("it sends a train");
    };
    let error = loop {
        if io.sent >= BOARD.turn_bytes as u64 {
            return Next::Again;
        }
        let segment = train.layout.segment(train.position);
        let framing = train.layout.framing;
        let sent = match (train.layout.as_fault(), segment) {
            (_, Segment::Done) => return finish(conn, io),
            (Some(fault), Segment::Head(at)) => io.send(&fault.car()[at..], false),
            (None, Segment::Raw(at)) => {
                let (offset, size) = (train.layout.offset + at, train.layout.data_size - at);
                transfer::send_range(io, conn.file, &mut train.cursor, offset, size)
            }
            (None, Segment::Head(at))
                if matches!(framing, Framing::Folder | Framing::Raw | Framing::RawEnd) =>
            {
                send_head(io, conn.file, &train.layout, at)
            }
            (None, Segment::Head(_) | Segment::Cars(..) | Segment::End(_)) => {
                send_cars(io, conn.file, train, segment)
            }
            (Some(_), _) => unreachable!("a fault has a head only"),
        };
        match sent {
            Ok(sent) => {
                train.position += sent as u64;
                assert!(train.position <= train.layout.size());
            }
            Err(error) => break error,
        }
    };
    if error == SendError::Truncated {
        transfer::report_truncated(conn, io);
        return break_off(conn, io);
    }
    transfer::cannot_send(conn, io, error)
}

fn send_head<S: Socket>(
    io: &mut Io<S>,
    file: FileSlot,
    layout: &ResponseLayout,
    at: usize,
) -> Result<usize, SendError> {
    let file = io.store.files.get(file);
    let size = if file.is_folder {
        SIZE_OF_FOLDER
    } else {
        file.size
    };
    let head = ResponseLayout::head(layout.framing, &file.name, size, file.mtime_ns);
    let more = layout.data_size > 0 || file.is_folder;
    io.send(&head[at..], more)
}

/// Sends head, cars and end car from a train's position, as far as one batch goes.
fn send_cars<S: Socket>(
    io: &mut Io<S>,
    file: FileSlot,
    train: &mut SendingTrain,
    segment: Segment,
) -> Result<usize, SendError> {
    let layout = train.layout;
    // Where the laying stands, where the sending starts, and the first car.
    let (mut used, start, car) = match segment {
        Segment::Head(at) => {
            let file = io.store.files.get(file);
            let head = ResponseLayout::head(layout.framing, &file.name, file.size, file.mtime_ns);
            assert_eq!(head.len() as u64, layout.head_size());
            io.out[..head.len()].copy_from_slice(&head);
            (head.len(), at, 0)
        }
        Segment::Cars(car, at) => (0, at, car),
        Segment::End(at) => (0, at, layout.cars()),
        Segment::Raw(_) | Segment::Done => unreachable!("handled by the caller"),
    };
    let wanted = (layout.cars() - car).min(u64::from(train.cursor.batch));
    let laid = if wanted > 0 {
        let file = io.store.files.get(file).descriptor.raw();
        lay_cars(file, train, car, wanted as usize, &mut io.out[used..])?
    } else {
        0
    };
    if laid > 0 {
        used += (laid - 1) * CAR_SIZE_MAX + CAR_HEAD_SIZE + layout.car_data(car + laid as u64 - 1);
    }
    if car + laid as u64 == layout.cars() {
        io.out[used..][..CAR_HEAD_SIZE].fill(0);
        used += CAR_HEAD_SIZE;
    }
    let sent = io.send_out(start..used, false)?;
    // The next batch is what the socket took: reading more would be reading it twice.
    let next = if sent < used - start {
        (sent / CAR_SIZE_MAX) as u16
    } else {
        train.cursor.batch.saturating_mul(2)
    };
    train.cursor.batch = next.clamp(CARS_PER_BATCH_MIN, BOARD.cars_per_batch_max as u16);
    Ok(sent)
}

/// Lays up to `wanted` cars from `car` on into `out`. Returns how many: those that the page cache
/// holds whole.
fn lay_cars(
    file: i32,
    train: &mut SendingTrain,
    car: u64,
    wanted: usize,
    out: &mut [u8],
) -> Result<usize, SendError> {
    let (layout, cursor) = (&train.layout, &mut train.cursor);
    let last_data = layout.car_data(car + wanted as u64 - 1);
    let room = &mut out[..(wanted - 1) * CAR_SIZE_MAX + CAR_HEAD_SIZE + last_data];
    let cached_only = !cursor.may_block();
    let offset = layout.offset + car * CAR_DATA_MAX as u64;
    let read = match sys::read_cars(file, room, offset, cached_only) {
        Ok(read) => read,
        Err(Errno::EAGAIN) => {
            cursor.request_readahead(file, offset);
            return Err(SendError::NotCached);
        }
        Err(_) => return Err(SendError::Truncated),
    };
    let whole = if read == (wanted - 1) * CAR_DATA_MAX + last_data {
        wanted
    } else {
        read / CAR_DATA_MAX
    };
    if whole == 0 {
        // Either the end of the file, or the page behind this one is not there yet.
        if read > 0 && cached_only {
            cursor.request_readahead(file, offset);
            return Err(SendError::NotCached);
        }
        return Err(SendError::Truncated);
    }
    cursor.not_cached_tries = 0;
    for index in 0..whole {
        let length = layout.car_data(car + index as u64) as i32;
        room[index * CAR_SIZE_MAX..][..CAR_HEAD_SIZE].copy_from_slice(&length.to_le_bytes());
    }
    Ok(whole)
}

/// Ends a transfer in the midst of it. A train that has come to the beginning of a car says so;
/// otherwise the connection ends early.
pub(crate) fn break_off<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    let can_say_so = match &conn.activity {
        Activity::SendingTrain(train) => matches!(
            train.layout.segment(train.position),
            Segment::Head(0) | Segment::Cars(_, 0)
        ),
        _ => false,
    };
    if !can_say_so || conn.protocol != Protocol::Ask {
        return Next::Close;
    }
    fail(conn, io, Fault::Io);
    Next::Again
}

/// Goes on after the last byte of a train.
fn finish<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    let Activity::SendingTrain(train) = &conn.activity else {
        unreachable!("it has sent a train");
    };
    if train.layout.as_fault().is_some() {
        return linger::begin(conn, io);
    }
    match train.layout.framing {
        Framing::Folder => {
            conn.activity = Activity::TrainListing(TrainListing::default());
            // The head is sent: from now on the name is that of the entry where the next car starts.
            io.store.files.get(conn.file).name.clear();
            Next::Again
        }
        Framing::RawEnd => {
            conn.activity = Activity::Acknowledging {
                progress_ms: io.now_ms,
            };
            conn.timer.start(Wait::Acknowledge);
            Next::Wait
        }
        _ if conn.protocol == Protocol::Push => linger::close_gently(conn, io),
        _ => next_request(conn, io),
    }
}

/// Goes on after the last byte of what a client has asked for.
pub(crate) fn next_request<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    conn.activity = Activity::RECEIVING;
    io.store.release(&mut conn.file);
    conn.timer.start(Wait::Idle);
    if conn.has_unread && !io.is_draining {
        return Next::Again;
    }
    // If newcomers wait, the connection is closed instead of being kept.
    if io.is_draining || io.config.gauges.claim_waiting() {
        let _ = io.send(&Fault::Full.car(), false);
        return Next::Close;
    }
    Next::Wait
}

/// Ends a connection that is not in the midst of a response; it is told why if the socket takes it.
pub(crate) fn refuse<S: Socket>(io: &mut Io<S>) -> Next {
    let _ = io.send(&Fault::Full.car(), false);
    // A part of a request that stays unread would make the close a reset, which discards the fault.
    let _ = io.socket.receive(io.out, false);
    Next::Close
}

/// An event while all is sent but not acknowledged: only the client's death matters.
pub(crate) fn acknowledge<S: Socket>(io: &mut Io<S>) -> Next {
    match io.socket.receive(&mut io.out[..1], true) {
        Ok(_) | Err(Errno::EAGAIN) => Next::Wait,
        Err(_) => Next::Close,
    }
}

/// For `raw-end`: begins the pause before the end car once the client has all of the file.
pub(crate) fn look_for_acknowledgement<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    let left = io.socket.unacknowledged();
    let progress = conn.note_acknowledged(left);
    let Activity::Acknowledging { progress_ms } = &mut conn.activity else {
        unreachable!("it has sent everything");
    };
    if progress > 0 {
        *progress_ms = io.now_ms;
    }
    if left == 0 {
        conn.timer.start(Wait::Pause);
    } else if io.now_ms - *progress_ms >= BOARD.stall_ms {
        return Next::Close;
    } else {
        conn.timer.start(Wait::Acknowledge);
    }
    Next::Wait
}

/// For `raw-end`: the end car, all that is left to send.
pub(crate) fn send_late_end<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    let layout = ResponseLayout::new(Framing::Plain, 0, 0, 0);
    begin(conn, io, layout, io.store.pushed);
    Next::Now
}

fn fault_of(error: OpenError) -> Fault {
    match error {
        OpenError::NotFound => Fault::NotFound,
        OpenError::NotAllowed => Fault::NotAllowed,
        OpenError::Malformed => Fault::Malformed,
        OpenError::TooLong => Fault::TooLong,
        OpenError::Exhausted => Fault::Full,
        OpenError::Io => Fault::Io,
    }
}

#[cfg(test)]
mod tests;
