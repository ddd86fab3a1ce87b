//! DHCP: a message is read as it stands there, and whatever servers say and when, the client asks neither
//! all the time nor never, and uses no address longer than it is lent.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

#[path = "../../../src/bin/init/dhcp.rs"]
mod client;
#[path = "../../../src/bin/init/message.rs"]
mod message;

use client::{Change, Client};
use message::{Kind, Message};

const HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// This many messages in a row take at least this long: a renewal that is refused, what it starts anew
/// with, and the request for an offer may follow each other at once.
const BURST: usize = 4;
const BURST_MS: u64 = 700;

/// The bytes are a message, and what happens to a client, eight bytes a step.
pub(crate) fn check(bytes: &[u8]) {
    if let Some(message) = Message::from_bytes(bytes) {
        as_read_plainly(&message, bytes);
    }
    let mut board = Board::new();
    for step in bytes.chunks_exact(8) {
        board.step(step.try_into().expect("eight bytes"));
    }
    board.asks_again();
}

/// The options of a message, the last of each code; `None` if they don't end within it.
fn options(bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut found = Vec::new();
    let mut at = 240;
    loop {
        match *bytes.get(at).unwrap_or(&255) {
            255 => return Some(found),
            0 => at += 1,
            code => {
                let len = usize::from(*bytes.get(at + 1)?);
                found.push((code, bytes.get(at + 2..at + 2 + len)?));
                at += 2 + len;
            }
        }
    }
}

fn as_read_plainly(message: &Message, bytes: &[u8]) {
    assert_eq!((bytes[0], &bytes[1..3]), (2, &[1, 6][..]));
    assert_eq!(bytes[236..240], [99, 130, 83, 99]);
    assert_eq!(message.transaction.to_be_bytes(), bytes[4..8]);
    assert_eq!(message.hardware, bytes[28..34]);
    let options = options(bytes).expect("they end");
    let last = |code: u8| options.iter().rfind(|option| option.0 == code);
    let data = |code| last(code).map_or(&[][..], |(_, data)| *data);
    let numbers = [2, 5, 6];
    let kinds = [Kind::Offer, Kind::Acknowledge, Kind::Refuse];
    let kind = kinds.iter().position(|kind| *kind == message.kind);
    if let Some(kind) = kind {
        assert_eq!(data(53)[0], numbers[kind]);
    }
    let seconds = |code| data(code).try_into().ok().map(u32::from_be_bytes);
    assert_eq!(message.lease_s, seconds(51));
    assert_eq!(message.renew_s, seconds(58));
    assert_eq!(message.rebind_s, seconds(59));
    let plain = |address: &[u8]| <[u8; 4]>::try_from(address).ok().map(Ipv4Addr::from);
    let is_host = |address: Ipv4Addr| {
        let first = address.octets()[0];
        (!address.is_unspecified() && first != 127 && first < 224)
            || (240..).contains(&first) && !address.is_broadcast()
    };
    let host = |address: &[u8]| plain(address).filter(|address| is_host(*address));
    assert_eq!(message.own, host(&bytes[16..20]));
    assert_eq!(message.server, host(data(54)));
    assert_eq!(message.gateway, data(3).get(..4).and_then(host));
    let mask = |prefix: u8| u32::MAX << (32 - prefix);
    let prefix =
        plain(data(1)).and_then(|own| (1..=32).find(|prefix| mask(*prefix) == own.to_bits()));
    assert_eq!(message.prefix, prefix);
    assert!(message.wanted.is_none() && message.name.is_empty());
}

/// A board with its client, and what is known of it from outside.
struct Board {
    client: Client,
    now_ms: u64,
    /// The number that tells the client's messages from those of others.
    transaction: u32,
    /// When the last messages were sent, since the cable was put in.
    sent_ms: VecDeque<u64>,
    /// When the address ends that there is: no sooner than this, and no later than that.
    end_ms: Option<(u64, u64)>,
    /// When the first and the last request of this transaction was sent.
    requested_ms: Option<(u64, u64)>,
}

impl Board {
    fn new() -> Self {
        Self {
            client: Client::new(HARDWARE, "yard", 7, 1000),
            now_ms: 1000,
            transaction: 7,
            sent_ms: VecDeque::new(),
            end_ms: None,
            requested_ms: None,
        }
    }

    /// What happens; how much later; then numbers for it.
    fn step(&mut self, step: [u8; 8]) {
        let [what, wait, lease, own, server, renew, rebind, odd] = step;
        // From nothing to a day or so.
        self.now_ms += u64::from(wait & 0x1f) << (wait >> 5 << 2);
        match what % 8 {
            0 => {
                self.client.restart(self.now_ms);
                self.sent_ms.clear();
            }
            number @ 1..=4 => {
                let kind = [Kind::Offer, Kind::Acknowledge, Kind::Refuse, Kind::Discover];
                let seconds = |byte: u8| match byte {
                    0xff => Some(u32::MAX),
                    0xfe => None,
                    byte => Some(u32::from(byte & 0x1f) << (byte >> 5 << 2)),
                };
                let address = |byte: u8| (byte != 0).then(|| [10, 0, 0, byte].into());
                let message = Message {
                    transaction: self.transaction.wrapping_add(u32::from(odd & 1)),
                    hardware: [[2, 0, 0, 0, 0, 1], [2; 6]][usize::from(odd >> 1 & 1)],
                    own: address(own),
                    server: address(server),
                    lease_s: seconds(lease),
                    renew_s: seconds(renew),
                    rebind_s: seconds(rebind),
                    ..Message::new(kind[usize::from(number) - 1])
                };
                self.take(&message);
            }
            _ => self.next(),
        }
    }

    fn take(&mut self, message: &Message) {
        match self.client.take(message, self.now_ms) {
            Some(Change::Leased(lease)) => {
                assert_eq!(message.kind, Kind::Acknowledge);
                assert_eq!(Some(lease.address), message.own);
                assert!((1..=32).contains(&lease.prefix));
                assert_eq!(message.transaction, self.transaction);
                assert_eq!(message.hardware, HARDWARE);
                let lease_s = message.lease_s.filter(|seconds| *seconds < u32::MAX);
                let end_ms = |asked_ms| match lease_s {
                    Some(lease_s) => asked_ms + u64::from(lease_s) * 1000,
                    None => u64::MAX,
                };
                let (first_ms, last_ms) = self.requested_ms.expect("it was asked for");
                self.end_ms = Some((end_ms(first_ms), end_ms(last_ms)));
            }
            Some(Change::Lost) => {
                assert_eq!(message.kind, Kind::Refuse);
                assert!(self.end_ms.take().is_some(), "there is none to lose");
            }
            None => {}
        }
    }

    fn next(&mut self) {
        let (outgoing, change) = self.client.next(self.now_ms);
        if let Some(change) = change {
            assert_eq!(change, Change::Lost);
            let (soonest_ms, _) = self.end_ms.take().expect("there is one to lose");
            assert!(self.now_ms >= soonest_ms, "it was given up too early");
        }
        let (_, latest_ms) = self.end_ms.unwrap_or((0, u64::MAX));
        assert!(self.now_ms < latest_ms, "it is used too long");
        let Some(outgoing) = outgoing else {
            return;
        };
        if self.transaction != outgoing.message.transaction {
            self.requested_ms = None;
        }
        self.transaction = outgoing.message.transaction;
        if outgoing.message.kind == Kind::Request {
            let (first_ms, _) = self.requested_ms.unwrap_or((self.now_ms, 0));
            self.requested_ms = Some((first_ms, self.now_ms));
        } else {
            assert_eq!(outgoing.message.kind, Kind::Discover);
        }
        is_whole(&outgoing.message);
        if self.sent_ms.len() == BURST - 1 {
            let first_ms = self.sent_ms.pop_front().expect("it is full");
            assert!(self.now_ms >= first_ms + BURST_MS, "a storm");
        }
        self.sent_ms.push_back(self.now_ms);
    }

    /// However it went, there will be another message, unless an address is lent for ever.
    fn asks_again(&mut self) {
        if let Some((_, u64::MAX)) = self.end_ms {
            return;
        }
        self.now_ms += u64::from(u32::MAX) * 1000;
        assert!(self.client.next(self.now_ms).0.is_some());
    }
}

/// What is sent can be read by its rules.
fn is_whole(message: &Message) {
    let bytes = message.to_bytes();
    assert!((300..=548).contains(&bytes.len()));
    let options = options(&bytes).expect("they end");
    let data = |code: u8| {
        let mut of_code = options.iter().filter(|option| option.0 == code);
        let first = of_code.next().map(|(_, data)| *data);
        assert!(of_code.next().is_none(), "each is there once");
        first
    };
    let expected = if message.kind == Kind::Discover { 1 } else { 3 };
    assert_eq!(data(53), Some(&[expected][..]));
    assert_eq!(data(12), Some(message.name.as_bytes()));
    assert_eq!(
        data(50),
        message
            .wanted
            .map(|address| address.octets())
            .as_ref()
            .map(|octets| &octets[..])
    );
    assert_eq!(
        data(54),
        message
            .server
            .map(|address| address.octets())
            .as_ref()
            .map(|octets| &octets[..])
    );
}
