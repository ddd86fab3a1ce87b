//! The listing of a folder as the body of a response: a page for people or an array for programs, sent
//! in pieces of any size.

use super::exchange;
use super::rows::RowsEnd;
use crate::entry::Order;
use crate::files::{Progress, seek};
use crate::http::listing::{self, Note, Query};
use crate::http::path::{self, Path};
use crate::http::{self, FixedBuf, OWN, Output};
use crate::sys::Errno;
use crate::worker::conn::activity::{Activity, HttpListing, Stage};
use crate::worker::conn::connection::Connection;
use crate::worker::conn::state::Wait;
use crate::worker::io::{Io, SendError};
use crate::worker::next::Next;
use crate::worker::socket::Socket;

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

/// What was laid for one send: the bytes of the head, all of them, and what follows.
struct Laid {
    head: usize,
    all: usize,
    end: RowsEnd,
}

impl Wanted {
    /// Reads the request, which is kept.
    fn read(bytes: &[u8], is_by_name: bool) -> Option<Self> {
        let request = http::parse(bytes).ok().flatten()?;
        let mut query = Query::parse(request.query.unwrap_or_default()).ok()?;
        let mut note = None;
        if is_by_name {
            note = Some(Note::TooManyToSort(query.order.by));
            query.order = Order::NAME;
        }
        Some(Self {
            path: path::decode(request.path).ok()?,
            is_json: query.wants_json(&request),
            is_chunked: !request.is_http10,
            query,
            note,
        })
    }

    fn put_head(&self, out: &mut FixedBuf) {
        self.put_framed(out, |out| {
            if self.is_json {
                listing::json_head(out);
            } else {
                listing::head(out, &self.path.bytes, &self.query, self.note);
            }
        });
    }

    fn put_foot(&self, out: &mut FixedBuf, rows: u32, last: Option<&[u8]>) {
        self.put_framed(out, |out| {
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

    fn put_framed(&self, out: &mut FixedBuf, write: impl FnOnce(&mut FixedBuf)) {
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

/// Reads a part of the folder, or sends some of its listing.
pub(crate) fn poll<S: Socket>(conn: &mut Connection, io: &mut Io<S>) -> Next {
    let Activity::HttpListing(HttpListing {
        stage, is_by_name, ..
    }) = conn.activity
    else {
        unreachable!("it sends a listing");
    };
    let bytes = io.requests.current(conn, &mut io.socket);
    let Some(wanted) = bytes.and_then(|bytes| Wanted::read(bytes, is_by_name)) else {
        return Next::Close;
    };
    if stage == Stage::Foot {
        return send_foot(conn, io, &wanted);
    }
    let folder = io.store.files.get(conn.file);
    let acquired = io
        .listing
        .acquire(&mut conn.holds_listing, folder, wanted.query.order);
    if acquired.is_err() {
        return Next::Close;
    }
    if !conn.holds_listing {
        return Next::ForListing;
    }
    conn.timer.start_unless(Wait::Stall);
    let dotfiles = io.config.http_config.dotfiles;
    let keep = |name: &[u8]| wanted.shows(name, dotfiles);
    match io.listing.walk.step(folder, keep) {
        Ok(Progress::More) => Next::Again,
        Ok(Progress::Ready) => send_rows(conn, io, &wanted),
        Ok(Progress::TooMany) => begin_by_name(conn, io, &wanted),
        Err(errno) => fail(io, errno),
    }
}

/// Begins again, in the one order in which a folder of any size can be listed.
fn begin_by_name<S: Socket>(conn: &mut Connection, io: &mut Io<S>, wanted: &Wanted) -> Next {
    let Activity::HttpListing(state) = &mut conn.activity else {
        unreachable!("it sends a listing");
    };
    if state.stage != Stage::Head || state.offset > 0 || state.is_by_name {
        log::debug!("a folder grew while it was listed; the listing ends early");
        return Next::Close;
    }
    state.is_by_name = true;
    let folder = io.store.files.get(conn.file);
    let begun = seek(folder, &wanted.query.after, Order::NAME)
        .and_then(|()| io.listing.begin(folder, Order::NAME));
    match begun {
        Ok(()) => Next::Again,
        Err(_) => Next::Close,
    }
}

/// Ends a listing that can't be whole: the connection ends early.
fn fail<S: Socket>(io: &mut Io<S>, errno: Errno) -> Next {
    log::warn!("a folder cannot be read: {errno}; its listing ends early");
    io.config.gauges.report_fault();
    Next::Close
}

/// Lays what the position says: the rest of the head, and rows.
fn lay<S: Socket>(
    conn: &Connection,
    io: &mut Io<S>,
    state: &HttpListing,
    wanted: &Wanted,
) -> Result<Laid, Errno> {
    let folder = io.store.files.get(conn.file);
    let mut offset = state.offset;
    let mut head = 0;
    if state.stage == Stage::Head {
        let mut room = FixedBuf::new(io.out);
        wanted.put_head(&mut room);
        head = room.used();
        io.out.copy_within(usize::from(offset)..head, 0);
        head -= usize::from(offset);
        offset = 0;
    }
    let before = state.rows_sent;
    let rows_max = wanted.query.limit.map_or(u32::MAX, |limit| limit - before);
    let room = io.out.len() - listing::FOOT_BYTES_MAX;
    let (rows, end) = io.listing.rows.lay(
        &mut io.listing.walk,
        folder,
        offset,
        rows_max,
        &mut io.out[head..room],
        |number, entry, room| {
            wanted.put_framed(room, |room| {
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

fn send_rows<S: Socket>(conn: &mut Connection, io: &mut Io<S>, wanted: &Wanted) -> Next {
    let Activity::HttpListing(state) = &conn.activity else {
        unreachable!("it sends a listing");
    };
    let laid = match lay(conn, io, state, wanted) {
        Ok(laid) => laid,
        Err(errno) => return fail(io, errno),
    };
    let sent = match laid.all {
        0 => Ok(0),
        all => io.send_out(0..all, laid.end != RowsEnd::More),
    };
    let sent = match sent {
        Ok(sent) => sent,
        Err(SendError::WouldBlock) => 0,
        Err(_) => return Next::Close,
    };
    let Activity::HttpListing(state) = &mut conn.activity else {
        unreachable!("it sends a listing");
    };
    state.position += sent as u64;
    let folder = io.store.files.get(conn.file);
    let (rows, offset) =
        io.listing
            .rows
            .advance(&io.listing.walk, folder, sent.saturating_sub(laid.head));
    state.rows_sent += rows;
    if sent < laid.head {
        state.offset += sent as u16;
    } else {
        (state.stage, state.offset) = (Stage::Rows, offset);
    }
    if sent < laid.all {
        // A slow client must not keep the listing from the others.
        io.listing.give_back(&mut conn.holds_listing);
        return Next::Wait;
    }
    if laid.end == RowsEnd::More {
        return Next::Again;
    }
    (state.stage, state.offset) = (Stage::Foot, 0);
    state.is_limited = laid.end == RowsEnd::Limit;
    io.listing.give_back(&mut conn.holds_listing);
    send_foot(conn, io, wanted)
}

fn send_foot<S: Socket>(conn: &mut Connection, io: &mut Io<S>, wanted: &Wanted) -> Next {
    conn.timer.start_unless(Wait::Stall);
    let Activity::HttpListing(state) = &mut conn.activity else {
        unreachable!("it sends a listing");
    };
    let folder = io.store.files.get(conn.file);
    let last = state.is_limited.then_some(&folder.name[..]);
    let mut room = FixedBuf::new(io.out);
    wanted.put_foot(&mut room, state.rows_sent, last);
    let (start, end) = (usize::from(state.offset), room.used());
    match io.send_out(start..end, false) {
        Ok(sent) => {
            state.position += sent as u64;
            state.offset += sent as u16;
            if start + sent < end {
                return Next::Wait;
            }
            exchange::finish(conn, io, false)
        }
        Err(SendError::WouldBlock) => Next::Wait,
        Err(_) => Next::Close,
    }
}

#[cfg(test)]
mod tests;
