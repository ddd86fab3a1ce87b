//! A client that keeps its connection while it can. QEMU lets only one connection at a time wait to be
//! taken, so that many clients come one after the other, and stay.

use crate::common::assert_bytes;
use std::io::Write;
use std::net::TcpStream;

use crate::cards::Held;
use crate::common::ask::{Failure, ask};
use crate::common::http::{Client, get};
use crate::machine::Board;

/// What a client gets for one question.
#[derive(Debug, PartialEq)]
pub(crate) enum Got {
    /// The file, as it should be.
    Whole,
    /// The connection's end, before the file's.
    Short,
    /// That the card is not there now: 503 with Retry-After, or error car 5.
    Told,
}

/// The client.
pub(crate) struct Visitor {
    board: Board,
    line: Line,
}

enum Line {
    Http(Option<Client<TcpStream>>),
    Train(Option<TcpStream>),
}

impl Visitor {
    /// One that is not connected yet.
    pub(crate) fn new(board: Board, by_train: bool) -> Self {
        let line = if by_train {
            Line::Train(None)
        } else {
            Line::Http(None)
        };
        Self { board, line }
    }

    /// Asks for a file; whatever comes of it must be right.
    #[track_caller]
    pub(crate) fn fetch(&mut self, held: &Held) -> Got {
        let fetched = match &mut self.line {
            Line::Http(kept) => fetch_by_http(self.board, kept, held),
            Line::Train(kept) => fetch_by_train(self.board, kept, held),
        };
        fetched.unwrap_or(Got::Short)
    }
}

/// `None` where the connection ended early.
fn fetch_by_http(board: Board, kept: &mut Option<Client<TcpStream>>, held: &Held) -> Option<Got> {
    let mut client = match kept.take() {
        Some(client) => client,
        None => board.http().ok()?,
    };
    client.stream.write_all(&get(&held.target(), &[])).ok()?;
    let answer = client.try_answer(false).ok()?;
    if answer.is_kept() {
        *kept = Some(client);
    }
    if answer.status == 200 {
        assert_bytes(&answer.body, &held.bytes, held.name);
        return Some(Got::Whole);
    }
    assert_eq!(answer.status, 503, "{}: {}", held.name, answer.shown());
    assert!(answer.field("retry-after").is_some(), "{}", answer.shown());
    Some(Got::Told)
}

/// The same by train.
fn fetch_by_train(board: Board, kept: &mut Option<TcpStream>, held: &Held) -> Option<Got> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => board.train().ok()?,
    };
    match ask(&mut stream, held.name.as_bytes(), &[]) {
        Ok(answer) => {
            assert_bytes(&answer.data, &held.bytes, held.name);
            *kept = Some(stream);
            Some(Got::Whole)
        }
        Err(Failure::Fault(5)) => Some(Got::Told),
        Err(Failure::Fault(other)) => panic!("{}: car -{other}", held.name),
        Err(Failure::Short(_)) => None,
    }
}
