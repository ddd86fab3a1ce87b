//! The fair queue of connections that can be polled: deficit round robin over clients, not over
//! sockets, so who opens sixteen connections has one client's share while others wait.
//!
//! The deficit is kept as a debt: a turn is not cut to what is left of a share, so what it sends too
//! much is taken off its client's share of the next round.

use super::list::{List, QUEUE};
use super::slab::Slab;
use super::state::{ClientSlot, Slot};
use crate::limits::{BOARD, CONNECTIONS_MAX};

const BUCKETS: usize = 1024;
/// What a turn counts for at least, in bytes: a small answer takes time too.
const TURN_BYTES_MIN: u64 = 4096;
/// What a client may send in a round.
const SHARE_BYTES: i64 = BOARD.turn_bytes as i64;
const _: () = assert!(SHARE_BYTES as u64 / TURN_BYTES_MIN <= u16::MAX as u64);

/// One client. All zeroes is a free entry.
pub(crate) struct Client {
    key: u64,
    /// Connections that are ready for a turn.
    ready: List<QUEUE>,
    ready_count: u16,
    /// Connections.
    users: u16,
    /// The next one in the bucket; of a free entry the next free one.
    next: u16,
    next_in_ring: u16,
    /// What its last turn of a round sent beyond its share, in [`TURN_BYTES_MIN`].
    debt: u16,
    is_in_ring: bool,
}

/// The clients that have connections, and the ring of those that have something to do. All zeroes is
/// none.
pub(crate) struct FairQueue {
    clients: [Client; CONNECTIONS_MAX],
    buckets: [u16; BUCKETS],
    touched: u16,
    first_free: u16,
    first_in_ring: u16,
    last_in_ring: u16,
    ring_count: u16,
    ready_count: u16,
}

/// What one client may do in a round.
pub(crate) struct Share {
    client: ClientSlot,
    turns: u16,
    /// Less than nothing when its last turn sent more than was left.
    bytes: i64,
}

impl FairQueue {
    pub(crate) const fn new() -> Self {
        const FREE: Client = Client {
            key: 0,
            ready: List::new(),
            ready_count: 0,
            users: 0,
            next: 0,
            next_in_ring: 0,
            debt: 0,
            is_in_ring: false,
        };
        Self {
            clients: [FREE; CONNECTIONS_MAX],
            buckets: [0; BUCKETS],
            touched: 0,
            first_free: 0,
            first_in_ring: 0,
            last_in_ring: 0,
            ring_count: 0,
            ready_count: 0,
        }
    }

    /// Whether some connection is ready for a turn.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready_count > 0
    }

    /// Whether one connection is ready and no other.
    pub(crate) fn has_one(&self) -> bool {
        self.ready_count == 1
    }

    /// Clients whose turn it is, as many as make one round.
    pub(crate) fn ring_count(&self) -> u16 {
        self.ring_count
    }

    /// Counts a connection of the client with this key.
    pub(crate) fn enter(&mut self, key: u64) -> ClientSlot {
        let bucket = bucket_of(key);
        let mut number = self.buckets[bucket];
        while number != 0 {
            let client = &mut self.clients[usize::from(number) - 1];
            if client.key == key {
                client.users += 1;
                return ClientSlot(number);
            }
            number = client.next;
        }
        let number = if self.first_free != 0 {
            let free = self.first_free;
            self.first_free = self.clients[usize::from(free) - 1].next;
            free
        } else {
            assert!(
                usize::from(self.touched) < CONNECTIONS_MAX,
                "a client for each connection"
            );
            self.touched += 1;
            self.touched
        };
        let client = &mut self.clients[usize::from(number) - 1];
        (client.key, client.users, client.next) = (key, 1, self.buckets[bucket]);
        client.debt = 0;
        self.buckets[bucket] = number;
        ClientSlot(number)
    }

    /// A connection of the client has ended.
    pub(crate) fn leave(&mut self, client: ClientSlot) {
        let entry = &mut self.clients[client.index()];
        entry.users -= 1;
        // The ring still names it otherwise, and frees it when it comes by.
        if entry.users == 0 && !entry.is_in_ring {
            self.free(client);
        }
    }

    fn free(&mut self, client: ClientSlot) {
        let (key, next) = (
            self.clients[client.index()].key,
            self.clients[client.index()].next,
        );
        let bucket = bucket_of(key);
        if self.buckets[bucket] == client.0 {
            self.buckets[bucket] = next;
        } else {
            let mut before = self.buckets[bucket];
            while self.clients[usize::from(before) - 1].next != client.0 {
                before = self.clients[usize::from(before) - 1].next;
            }
            self.clients[usize::from(before) - 1].next = next;
        }
        self.clients[client.index()].next = self.first_free;
        self.first_free = client.0;
    }

    /// A connection of the client is ready for a turn.
    pub(crate) fn push(&mut self, connections: &mut Slab, client: ClientSlot, slot: Slot) {
        self.ready_count += 1;
        let entry = &mut self.clients[client.index()];
        entry.ready_count += 1;
        entry.ready.push_back(connections, slot);
        if !entry.is_in_ring {
            self.append(client);
        }
    }

    /// A connection is ready no more.
    pub(crate) fn remove(&mut self, connections: &mut Slab, client: ClientSlot, slot: Slot) {
        self.ready_count -= 1;
        let entry = &mut self.clients[client.index()];
        entry.ready_count -= 1;
        entry.ready.remove(connections, slot);
    }

    fn append(&mut self, client: ClientSlot) {
        self.clients[client.index()].is_in_ring = true;
        self.clients[client.index()].next_in_ring = 0;
        match self.last_in_ring.checked_sub(1) {
            Some(last) => self.clients[usize::from(last)].next_in_ring = client.0,
            None => self.first_in_ring = client.0,
        }
        self.last_in_ring = client.0;
        self.ring_count += 1;
    }

    /// The share of the client that comes first in the ring, which must not be empty.
    pub(crate) fn begin_share(&self) -> Share {
        let client = ClientSlot(self.first_in_ring);
        let entry = &self.clients[client.index()];
        Share {
            client,
            turns: entry.ready_count,
            bytes: SHARE_BYTES - i64::from(entry.debt) * TURN_BYTES_MIN as i64,
        }
    }

    /// The client's next connection, which is ready no more; `None` when its share is used up. Who
    /// is alone has no need to share.
    pub(crate) fn next(&mut self, connections: &mut Slab, share: &mut Share) -> Option<Slot> {
        let has_right = share.turns > 0 && (share.bytes > 0 || self.ring_count == 1);
        let entry = &mut self.clients[share.client.index()];
        let slot = entry.ready.front().filter(|_| has_right)?;
        share.turns -= 1;
        self.remove(connections, share.client, slot);
        Some(slot)
    }

    /// Takes what a turn has sent off the share.
    pub(crate) fn spend(share: &mut Share, sent: u64) {
        share.bytes -= sent.max(TURN_BYTES_MIN) as i64;
    }

    /// Puts the client last in the ring if it has more to do, or takes it out. Many connections with
    /// small buffers would overdraw every share by one turn, so what is too much is its debt in the
    /// next round: less than a share, that it still has a turn. Who is alone owes nobody.
    pub(crate) fn end_share(&mut self, share: &Share) {
        let entry = &mut self.clients[share.client.index()];
        assert_eq!(self.first_in_ring, share.client.0, "whose share it was");
        let owed = if self.ring_count == 1 {
            0
        } else {
            -share.bytes
        };
        entry.debt = (owed.clamp(0, SHARE_BYTES - 1) / TURN_BYTES_MIN as i64) as u16;
        entry.is_in_ring = false;
        self.first_in_ring = entry.next_in_ring;
        if self.first_in_ring == 0 {
            self.last_in_ring = 0;
        }
        self.ring_count -= 1;
        if entry.ready_count > 0 {
            self.append(share.client);
        } else if entry.users == 0 {
            self.free(share.client);
        }
    }
}

fn bucket_of(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Job;
    use crate::link::Protocol;
    use crate::sys::Descriptor;
    use crate::worker::conn::connection::Connection;

    fn connect(slab: &mut Slab) -> Slot {
        let job = Job {
            ticket: 0,
            protocol: Protocol::Http,
            address: core::net::Ipv6Addr::LOCALHOST,
            socket: Descriptor::NONE,
        };
        let connection = Connection::new(job, ClientSlot::NONE);
        slab.insert(connection).expect("room")
    }

    /// Runs rounds in which every turn sends `bytes` and makes its connection ready again.
    fn turns(sockets: &[usize], bytes: u64, rounds: usize) -> Vec<usize> {
        let mut slab = Box::new(Slab::new());
        let mut all = Box::new(FairQueue::new());
        let mut owners = Vec::new();
        for (number, sockets) in sockets.iter().enumerate() {
            for _ in 0..*sockets {
                let slot = connect(&mut slab);
                let client = all.enter(number as u64);
                all.push(&mut slab, client, slot);
                owners.push((slot, client, number));
            }
        }
        let mut counts = vec![0; sockets.len()];
        for _ in 0..rounds {
            for _ in 0..all.ring_count() {
                let mut share = all.begin_share();
                while let Some(slot) = all.next(&mut slab, &mut share) {
                    let (_, client, number) = owners[slot.index()];
                    counts[number] += 1;
                    FairQueue::spend(&mut share, bytes);
                    all.push(&mut slab, client, slot);
                }
                all.end_share(&share);
            }
        }
        counts
    }

    #[test]
    fn sixteen_sockets_have_one_share() {
        let large = BOARD.turn_bytes as u64;
        assert_eq!(turns(&[16, 1, 1], large, 100), [100, 100, 100]);
        assert_eq!(turns(&[16], large, 100), [1600], "who is alone has all");
        let parts = turns(&[16, 1, 1], large / 4 * 3, 100);
        assert_eq!(parts, [134, 100, 100], "too much is paid back");
        let small = turns(&[64, 1], 100, 10);
        assert_eq!(small, [640, 10], "small answers fit a share");
    }

    #[test]
    fn clients_come_and_go() {
        let mut slab = Box::new(Slab::new());
        let mut all = Box::new(FairQueue::new());
        let slots: Vec<_> = (0..3000_u64)
            .map(|key| (connect(&mut slab), all.enter(key * 7919)))
            .collect();
        assert_eq!(all.enter(7919), slots[1].1, "the same client");
        all.leave(slots[1].1);
        for (slot, client) in &slots {
            all.push(&mut slab, *client, *slot);
        }
        // One goes while the ring names it.
        all.remove(&mut slab, slots[5].1, slots[5].0);
        all.leave(slots[5].1);
        let mut seen = 0;
        for _ in 0..all.ring_count() {
            let mut share = all.begin_share();
            while all.next(&mut slab, &mut share).is_some() {
                seen += 1;
            }
            all.end_share(&share);
        }
        assert_eq!((seen, all.ring_count(), all.is_ready()), (2999, 0, false));
        for (number, (_, client)) in slots.iter().enumerate() {
            if number != 5 {
                all.leave(*client);
            }
        }
        assert!(all.buckets.iter().all(|first| *first == 0), "all are free");
        assert!((0..3000_u64).all(|key| usize::from(all.enter(key).0) <= 3000));
    }
}
