//! The listing of a folder over HTTP, as one connection's turns: a page for people or an array for
//! programs, sent in pieces of any size.

use super::requests::Received;
use crate::entry::Order;
use crate::files::{Progress, RowsEnd, seek};
use crate::http::listing::{self, Note, Query};
use crate::http::path::{self, Path};
use crate::http::{self, FixedBuf, OWN, Output};
use crate::sys::{self, Errno};
use crate::worker::conn::state::{Phase, Slot, Stage};
use crate::worker::train::listing::Turn;
use crate::worker::{Step, Turns, Worker};

/// What a request wants to see of a folder.
struct Wanted {
    path: Path,
    query: Query,
    is_json: bool,
    /// The body is sent in chunks; otherwise it ends with the connection.
    is_chunked: bool,
    /// The order that was wanted cannot be had.
    note: Option<Note>,
}

/// What was laid for one send.
struct Laid {
    head: usize,
    all: usize,
    end: RowsEnd,
}

impl Wanted {
    fn head(&self, out: &mut FixedBuf) {
        self.framed(out, |out| {
            if self.is_json {
                listing::json_head(out);
            } else {
                listing::head(out, &self.path.bytes, &self.query, self.note);
            }
        });
    }

    fn foot(&self, out: &mut FixedBuf, rows: u32, last: Option<&[u8]>) {
        self.framed(out, |out| {
            if self.is_json {
                listing::json_foot(out);
            } else {
                listing::foot(out, &self.query, rows, last);
            }
        });
        if self.is_chunked {
            out.put(b"0\r\n\r\n");
        }
    }

    fn framed(&self, out: &mut FixedBuf, write: impl FnOnce(&mut FixedBuf)) {
        if self.is_chunked {
            out.chunk(write);
        } else {
            write(out);
        }
    }

    /// Whether an entry is shown. One that can't be asked for is not.
    fn shows(&self, name: &[u8], dotfiles: bool) -> bool {
        let is_reachable = dotfiles || !name.starts_with(b".");
        let is_own = self.path.bytes.is_empty() && name == OWN;
        is_reachable && !is_own && self.query.matches(name)
    }
}

impl Worker {
    /// Reads a part of the folder, or sends some of its page.
    pub(crate) fn list_page(&mut self, turns: &Turns, slot: Slot) -> Step {
        let received = match self.receive_requests(slot) {
            Ok(received) => received,
            Err(step) => return step,
        };
        let Some(wanted) = self.wanted(slot, &received) else {
            return Step::End;
        };
        let step = self.list_wanted(turns, slot, &wanted);
        if !matches!(step, Step::End) {
            self.keep_from(slot, 0, &received);
        }
        match step {
            // Its last byte is sent.
            Step::Again if self.connections.get(slot).phase == Phase::Asking => {
                self.request_answered(turns, slot, false)
            }
            step => step,
        }
    }

    /// Reads the request again, which is kept.
    fn wanted(&mut self, slot: Slot, received: &Received) -> Option<Wanted> {
        let connection = self.connections.get(slot);
        let request = http::parse(&self.input[..received.size]).ok().flatten()?;
        let mut query = Query::parse(request.query.unwrap_or_default()).ok()?;
        let mut note = None;
        if connection.is_by_name {
            note = Some(Note::TooManyToSort(query.order.by));
            query.order = Order::NAME;
        }
        Some(Wanted {
            path: path::decode(request.path).ok()?,
            is_json: query.wants_json(&request),
            is_chunked: !request.is_http10,
            query,
            note,
        })
    }

    fn list_wanted(&mut self, turns: &Turns, slot: Slot, wanted: &Wanted) -> Step {
        if self.connections.get(slot).stage == Stage::Foot {
            return self.send_foot(turns, slot, wanted);
        }
        let order = wanted.query.order;
        match self.take_listing(slot, order) {
            Turn::Mine => {}
            Turn::Later => return Step::Wait,
            Turn::Never => return Step::End,
        }
        self.await_client(turns, slot);
        let file = self.connections.get(slot).file;
        let dotfiles = turns.setting.http_config.dotfiles;
        let keep = |name: &[u8]| wanted.shows(name, dotfiles);
        match self.listing.step(self.files.get(file), keep) {
            Ok(Progress::More) => Step::Again,
            Ok(Progress::Ready) => self.send_page(turns, slot, wanted),
            Ok(Progress::TooMany) => self.list_by_name(slot, wanted),
            Err(errno) => self.listing_failed(turns, slot, errno),
        }
    }

    /// Begins again, in the one order in which a folder of any size can be listed.
    fn list_by_name(&mut self, slot: Slot, wanted: &Wanted) -> Step {
        let connection = self.connections.get(slot);
        if connection.stage != Stage::Head || connection.skip > 0 || connection.is_by_name {
            log::debug!("a folder grew while it was listed; the listing ends early");
            return Step::End;
        }
        connection.is_by_name = true;
        let file = self.files.get(connection.file);
        let is_begun = seek(file, &wanted.query.after, Order::NAME)
            .and_then(|()| self.listing.begin(file, Order::NAME));
        if is_begun.is_ok() {
            Step::Again
        } else {
            Step::End
        }
    }

    /// Lays what the position says: the rest of the head, rows, and behind the last one the foot.
    fn lay_page(&mut self, slot: Slot, wanted: &Wanted) -> Result<Laid, Errno> {
        let connection = self.connections.get(slot);
        let file = self.files.get(connection.file);
        let mut skip = connection.skip;
        let mut head = 0;
        if connection.stage == Stage::Head {
            let mut room = FixedBuf::new(&mut self.buffer);
            wanted.head(&mut room);
            head = room.used();
            self.buffer.copy_within(usize::from(skip)..head, 0);
            head -= usize::from(skip);
            skip = 0;
        }
        let before = connection.rows;
        let rows_max = wanted.query.limit.map_or(u32::MAX, |limit| limit - before);
        let room = self.buffer.len() - listing::FOOT_BYTES_MAX;
        let (rows, end) = self.listing.lay_rows(
            file,
            skip,
            rows_max,
            &mut self.buffer[head..room],
            |number, entry, room| {
                wanted.framed(room, |room| {
                    if wanted.is_json {
                        listing::json_row(room, entry, before + number == 0);
                    } else {
                        listing::row(room, entry);
                    }
                });
            },
        )?;
        Ok(Laid {
            head,
            all: head + rows,
            end,
        })
    }

    fn send_page(&mut self, turns: &Turns, slot: Slot, wanted: &Wanted) -> Step {
        let laid = match self.lay_page(slot, wanted) {
            Ok(laid) => laid,
            Err(errno) => return self.listing_failed(turns, slot, errno),
        };
        let connection = self.connections.get(slot);
        let socket = connection.socket.raw();
        let sent = match laid.all {
            0 => Ok(0),
            all => sys::send(socket, &self.buffer[..all], laid.end != RowsEnd::More),
        };
        let sent = match sent {
            Ok(sent) => sent,
            Err(Errno::EAGAIN) => 0,
            Err(_) => return Step::End,
        };
        connection.sent += sent as u64;
        connection.position += sent as u64;
        let file = self.files.get(connection.file);
        let (rows, skip) = self
            .listing
            .advance_rows(file, sent.saturating_sub(laid.head));
        connection.rows += rows;
        if sent < laid.head {
            connection.skip += sent as u16;
        } else {
            (connection.stage, connection.skip) = (Stage::Rows, skip);
        }
        if sent < laid.all {
            // A slow client must not keep the listing from the others.
            self.leave_listing(slot);
            return Step::Wait;
        }
        if laid.end == RowsEnd::More {
            return Step::Again;
        }
        (connection.stage, connection.skip) = (Stage::Foot, 0);
        connection.is_limited = laid.end == RowsEnd::Limit;
        self.leave_listing(slot);
        self.send_foot(turns, slot, wanted)
    }

    fn send_foot(&mut self, turns: &Turns, slot: Slot, wanted: &Wanted) -> Step {
        self.await_client(turns, slot);
        let connection = self.connections.get(slot);
        let file = self.files.get(connection.file);
        let last = connection.is_limited.then_some(&file.name[..]);
        let mut room = FixedBuf::new(&mut self.buffer);
        wanted.foot(&mut room, connection.rows, last);
        let (skip, size) = (usize::from(connection.skip), room.used());
        match sys::send(connection.socket.raw(), &self.buffer[skip..size], false) {
            Ok(sent) => {
                connection.sent += sent as u64;
                connection.position += sent as u64;
                connection.skip += sent as u16;
                if skip + sent < size {
                    return Step::Wait;
                }
                connection.phase = Phase::Asking;
                Step::Again
            }
            Err(Errno::EAGAIN) => Step::Wait,
            Err(_) => Step::End,
        }
    }
}
