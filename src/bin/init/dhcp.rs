//! An address by DHCP (RFC 2131): when what is sent, and what an answer means. No system calls.
//!
//! `tests/fuzz` includes this file as it is, so it names its neighbours by `super`.

use std::net::Ipv4Addr;

use super::message::{Kind, Message};

/// The first wait for an answer; each further one is twice as long.
const WAIT_MIN_MS: u64 = 1000;
const WAIT_MAX_MS: u64 = 32_000;
/// How often an offer is asked for before another is looked for.
const REQUESTS_MAX: u32 = 4;
/// The least pause between two tries to renew (RFC 2131, 4.4.5).
const RENEW_PAUSE_MIN_MS: u64 = 60_000;
/// The least pause after any request, lest a server of tiny leases have the board ask all the time.
const PAUSE_MIN_MS: u64 = 5000;
/// A lease without end.
const FOREVER: u32 = u32::MAX;

/// What a server lends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) gateway: Option<Ipv4Addr>,
}

/// What has become of the address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// It is this one, from now on or still.
    Leased(Lease),
    /// There is none any more.
    Lost,
}

/// A message to send.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    /// To this server; to all if none.
    pub(crate) server: Option<Ipv4Addr>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Looking for an offer.
    Discovering,
    /// An offered address of a server was asked for, this many times.
    Requesting(Ipv4Addr, Ipv4Addr, u32),
    /// There is an address.
    Bound(Held),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Held {
    lease: Lease,
    server: Ipv4Addr,
    /// From when on anybody is asked to renew it, and when it ends.
    rebind_ms: u64,
    end_ms: u64,
}

/// The client of one interface.
pub(crate) struct Client {
    hardware: [u8; 6],
    name: String,
    transaction: u32,
    phase: Phase,
    due_ms: u64,
    wait_ms: u64,
    /// When the request was sent that an answer is awaited to, if one is.
    asked_ms: Option<u64>,
    /// When the address ends that there is, whatever is being asked for.
    end_ms: Option<u64>,
}

impl Client {
    /// One that looks for an address at once. `random` tells its messages from those of others.
    pub(crate) fn new(hardware: [u8; 6], name: &str, random: u32, now_ms: u64) -> Self {
        Self {
            hardware,
            name: name.into(),
            transaction: random,
            phase: Phase::Discovering,
            due_ms: now_ms,
            wait_ms: WAIT_MIN_MS,
            asked_ms: None,
            end_ms: None,
        }
    }

    /// Looks for an address anew, as the network may be another one. What there is holds until then, or
    /// until it ends.
    pub(crate) fn restart(&mut self, now_ms: u64) {
        self.phase = Phase::Discovering;
        self.transaction = self.transaction.wrapping_add(1);
        self.due_ms = now_ms;
        self.wait_ms = WAIT_MIN_MS;
        self.asked_ms = None;
    }

    /// What is to be done by now: a message to send, or the end of a lease.
    pub(crate) fn next(&mut self, now_ms: u64) -> (Option<Outgoing>, Option<Change>) {
        if self.end_ms.is_some_and(|end_ms| now_ms >= end_ms) {
            self.end_ms = None;
            if let Phase::Bound(_) = self.phase {
                // A lease may end within the pause after its request.
                let due_ms = self.due_ms.max(now_ms);
                self.restart(now_ms);
                self.due_ms = due_ms;
            }
            return (self.next(now_ms).0, Some(Change::Lost));
        }
        if now_ms < self.due_ms {
            return (None, None);
        }
        match self.phase {
            Phase::Discovering => {
                self.wait_longer(now_ms);
                (Some(self.to_all(Kind::Discover)), None)
            }
            Phase::Requesting(_, _, REQUESTS_MAX) => {
                self.restart(now_ms);
                self.next(now_ms)
            }
            Phase::Requesting(address, server, asked) => {
                self.phase = Phase::Requesting(address, server, asked + 1);
                self.wait_longer(now_ms);
                // An answer may be one to the first of them.
                self.asked_ms.get_or_insert(now_ms);
                let mut outgoing = self.to_all(Kind::Request);
                outgoing.message.wanted = Some(address);
                outgoing.message.server = Some(server);
                (Some(outgoing), None)
            }
            Phase::Bound(held) => (Some(self.renewal(held, now_ms)), None),
        }
    }

    fn renewal(&mut self, held: Held, now_ms: u64) -> Outgoing {
        let is_late = now_ms >= held.rebind_ms;
        let next_ms = if is_late { held.end_ms } else { held.rebind_ms };
        let half_ms = next_ms.saturating_sub(now_ms) / 2;
        let due_ms = (now_ms + half_ms.max(RENEW_PAUSE_MIN_MS)).min(next_ms);
        self.due_ms = due_ms.max(now_ms + PAUSE_MIN_MS);
        // A late answer to an earlier request is none to this one, whose time it would get.
        self.transaction = self.transaction.wrapping_add(1);
        self.asked_ms = Some(now_ms);
        let mut outgoing = self.to_all(Kind::Request);
        outgoing.message.own = Some(held.lease.address);
        outgoing.server = (!is_late).then_some(held.server);
        outgoing
    }

    fn to_all(&self, kind: Kind) -> Outgoing {
        let message = Message {
            transaction: self.transaction,
            hardware: self.hardware,
            name: self.name.clone(),
            ..Message::new(kind)
        };
        Outgoing {
            message,
            server: None,
        }
    }

    /// Waits twice as long as the last time, and a little more or less, so that boards which lost
    /// their power together do not ask together.
    fn wait_longer(&mut self, now_ms: u64) {
        let spread = u64::from(self.transaction.wrapping_mul(0x9E37_79B1) >> 16) * self.wait_ms;
        self.due_ms = now_ms + self.wait_ms * 3 / 4 + (spread >> 17);
        self.wait_ms = (self.wait_ms * 2).min(WAIT_MAX_MS);
    }

    /// Takes what came. What is not an answer to this client is passed over.
    pub(crate) fn take(&mut self, message: &Message, now_ms: u64) -> Option<Change> {
        if message.transaction != self.transaction || message.hardware != self.hardware {
            return None;
        }
        match (self.phase, message.kind, self.asked_ms) {
            (Phase::Discovering, Kind::Offer, _) => {
                self.phase = Phase::Requesting(message.own?, message.server?, 0);
                self.due_ms = now_ms;
                self.wait_ms = WAIT_MIN_MS;
                None
            }
            // Of another server, which was not chosen.
            (Phase::Requesting(_, asked, _), ..)
                if message.server.is_some_and(|server| server != asked) =>
            {
                None
            }
            (Phase::Requesting(address, server, _), Kind::Acknowledge, Some(asked_ms))
                if message.own == Some(address) =>
            {
                self.bind(message, server, asked_ms)
            }
            (Phase::Requesting(..), Kind::Refuse, Some(_)) => {
                self.restart(now_ms);
                // At once would be for ever, with a server that offers what it refuses.
                self.wait_longer(now_ms);
                None
            }
            (Phase::Bound(held), Kind::Acknowledge, Some(asked_ms)) => {
                self.bind(message, message.server.unwrap_or(held.server), asked_ms)
            }
            (Phase::Bound(_), Kind::Refuse, Some(_)) => {
                self.end_ms = None;
                self.restart(now_ms);
                Some(Change::Lost)
            }
            _ => None,
        }
    }

    /// Takes what was asked for, from then on, so that it never ends later than the server thinks.
    fn bind(&mut self, message: &Message, server: Ipv4Addr, asked_ms: u64) -> Option<Change> {
        let lease = Lease {
            address: message.own?,
            prefix: message.prefix.unwrap_or(24),
            gateway: message.gateway,
        };
        let length_s = message.lease_s.unwrap_or(FOREVER);
        let after = |seconds: Option<u32>, eighths: u64| match (seconds, length_s) {
            (_, FOREVER) => u64::MAX,
            (Some(seconds), _) if (1..length_s).contains(&seconds) => {
                asked_ms + u64::from(seconds) * 1000
            }
            _ => asked_ms + u64::from(length_s) * 125 * eighths,
        };
        let end_ms = after(None, 8);
        let rebind_ms = after(message.rebind_s, 7).min(end_ms);
        let renew_ms = after(message.renew_s, 4).min(rebind_ms);
        self.due_ms = renew_ms.max(asked_ms + PAUSE_MIN_MS);
        self.asked_ms = None;
        self.end_ms = Some(end_ms);
        self.phase = Phase::Bound(Held {
            lease,
            server,
            rebind_ms,
            end_ms,
        });
        Some(Change::Leased(lease))
    }
}

#[cfg(test)]
#[path = "dhcp/tests.rs"]
mod tests;
