//! Passing sockets to a child, and tickets back: the messages on a pair.
//!
//! Down: one byte that says what, then 21 bytes a job (ticket, address, protocol), with the job's socket
//! beside it. Up: one byte, then 4 bytes a ticket. Anything else is a bug on the other side.

use core::net::Ipv6Addr;

use heapless::Vec;

use crate::limits::JOBS_PER_MESSAGE_MAX;
use crate::link::{Job, Order, PoolLink, Protocol, REPORT_MAX};
use crate::sys::{self, Descriptor, Errno};

const JOBS: u8 = 1;
const GIVE_WAY: u8 = 2;
const DRAIN: u8 = 3;
const WAKE: u8 = 4;
const ENDED: u8 = 5;

const JOB_BYTES: usize = 21;
const ORDER_BYTES: usize = 1 + JOBS_PER_MESSAGE_MAX * JOB_BYTES;
const REPORT_BYTES: usize = 1 + REPORT_MAX * 4;

/// Sends jobs to a child; never blocks. The caller closes its sockets once they are sent.
///
/// # Errors
/// `EAGAIN` or `ETOOMANYREFS`: not sent, try later. `EPIPE`: the child is gone.
pub(super) fn send_jobs(pair: &Descriptor, jobs: &[Job]) -> Result<(), Errno> {
    assert!((1..=JOBS_PER_MESSAGE_MAX).contains(&jobs.len()));
    let mut bytes: Vec<u8, ORDER_BYTES> = Vec::new();
    let mut sockets: Vec<i32, JOBS_PER_MESSAGE_MAX> = Vec::new();
    let _ = bytes.push(JOBS);
    for job in jobs {
        let _ = bytes.extend_from_slice(&job.ticket.to_le_bytes());
        let _ = bytes.extend_from_slice(&job.address.octets());
        let _ = bytes.push(job.protocol as u8);
        let _ = sockets.push(job.socket.raw());
    }
    assert_eq!(bytes.len(), 1 + sockets.len() * JOB_BYTES);
    sys::send_message(pair.raw(), &bytes, &sockets)
}

/// Asks a child to end its oldest idle connection.
pub(super) fn send_give_way(pair: &Descriptor) -> Result<(), Errno> {
    sys::send_message(pair.raw(), &[GIVE_WAY], &[])
}

/// Tells a child to finish.
pub(super) fn send_drain(pair: &Descriptor) -> Result<(), Errno> {
    sys::send_message(pair.raw(), &[DRAIN], &[])
}

/// Wakes a child, so that it comes round.
pub(super) fn send_wake(pair: &Descriptor) -> Result<(), Errno> {
    sys::send_message(pair.raw(), &[WAKE], &[])
}

/// Takes an order from a pair: what a child does, and the parent from the end of a dead one.
pub(super) fn receive_order(pair: &Descriptor) -> Result<Order, Errno> {
    let mut bytes = [0; ORDER_BYTES];
    let received = match sys::receive_message(pair.raw(), &mut bytes) {
        Err(Errno::EAGAIN) => return Ok(Order::Nothing),
        result => result?,
    };
    let Some((kind, rest)) = bytes[..received.size].split_first() else {
        return Ok(Order::Closed);
    };
    match *kind {
        JOBS => {
            assert_eq!(
                rest.len(),
                received.descriptors.len() * JOB_BYTES,
                "a socket for each job"
            );
            let jobs = received
                .descriptors
                .into_iter()
                .zip(rest.chunks_exact(JOB_BYTES));
            Ok(Order::Jobs(
                jobs.map(|(socket, job)| read_job(socket, job)).collect(),
            ))
        }
        GIVE_WAY => Ok(Order::GiveWay),
        DRAIN => Ok(Order::Drain),
        WAKE => Ok(Order::Wake),
        other => panic!("order {other} on a pair"),
    }
}

fn read_job(socket: Descriptor, bytes: &[u8]) -> Job {
    let (ticket, rest) = bytes.split_first_chunk().expect("JOB_BYTES");
    let (address, protocol) = rest.split_first_chunk::<16>().expect("JOB_BYTES");
    let protocol = match protocol {
        [0] => Protocol::Ask,
        [1] => Protocol::Push,
        [2] => Protocol::Http,
        other => panic!("protocol {other:?} on a pair"),
    };
    Job {
        ticket: u32::from_le_bytes(*ticket),
        address: Ipv6Addr::from(*address),
        protocol,
        socket,
    }
}

/// Takes a report from a child; `None` when there is none, or the child is gone.
pub(super) fn receive_report(pair: &Descriptor) -> Result<Option<Vec<u32, REPORT_MAX>>, Errno> {
    let mut bytes = [0; REPORT_BYTES];
    let size = match sys::receive(pair.raw(), &mut bytes, false) {
        Err(Errno::EAGAIN) | Ok(0) => return Ok(None),
        result => result?,
    };
    if bytes[0] != ENDED || !(size - 1).is_multiple_of(4) {
        return Err(Errno::EPROTO);
    }
    let tickets = bytes[1..size]
        .chunks_exact(4)
        .map(|ticket| u32::from_le_bytes(ticket.try_into().expect("4 bytes")));
    Ok(Some(tickets.collect()))
}

/// A child's side of its pair.
pub(super) struct ProcessLink {
    pub(super) descriptor: Descriptor,
}

impl PoolLink for ProcessLink {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn receive(&mut self) -> Result<Order, Errno> {
        receive_order(&self.descriptor)
    }

    fn report(&mut self, tickets: &[u32]) -> Result<(), Errno> {
        let mut bytes: Vec<u8, REPORT_BYTES> = Vec::new();
        let _ = bytes.push(ENDED);
        for ticket in tickets {
            let _ = bytes.extend_from_slice(&ticket.to_le_bytes());
        }
        assert_eq!(bytes.len(), 1 + tickets.len() * 4);
        sys::send_message(self.descriptor.raw(), &bytes, &[])
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::super::doubles::{connection, peer};
    use super::*;

    /// The parent's end and a child's.
    fn pair() -> (Descriptor, ProcessLink) {
        let (parent, descriptor) = sys::pair().unwrap();
        (parent, ProcessLink { descriptor })
    }

    fn job(number: u32, protocol: Protocol) -> (Job, UnixStream) {
        let (socket, client) = connection();
        let job = Job {
            ticket: number,
            protocol,
            address: peer(number as u16 + 1).0,
            socket,
        };
        (job, client)
    }

    #[test]
    fn jobs_arrive_with_their_sockets() {
        let (parent, mut child) = pair();
        let protocols = [Protocol::Ask, Protocol::Push, Protocol::Http];
        let (jobs, mut clients): (std::vec::Vec<_>, std::vec::Vec<_>) = (0..)
            .map(|number| job(0x1020_3040 + number, protocols[number as usize % 3]))
            .take(JOBS_PER_MESSAGE_MAX)
            .unzip();
        send_jobs(&parent, &jobs).unwrap();
        let Order::Jobs(received) = child.receive().unwrap() else {
            panic!("another order");
        };
        assert_eq!(received.len(), JOBS_PER_MESSAGE_MAX);
        for ((sent, received), client) in jobs.iter().zip(&received).zip(&mut clients) {
            assert_eq!(received.ticket, sent.ticket);
            assert_eq!(received.protocol, sent.protocol);
            assert_eq!(received.address, sent.address);
            client.write_all(b"who").unwrap();
            let mut bytes = [0; 4];
            assert_eq!(
                sys::receive(received.socket.raw(), &mut bytes, false),
                Ok(3)
            );
        }
        // The client sees its end only when both have closed.
        let mut byte = [0];
        for mut job in received {
            job.socket.close();
        }
        assert!(clients[0].read(&mut byte).is_err());
        for mut job in jobs {
            job.socket.close();
        }
        // A child that another test has just forked may hold copies of the sockets for a moment.
        clients[0].set_nonblocking(false).unwrap();
        assert_eq!(clients[0].read(&mut byte).unwrap(), 0);
    }

    #[test]
    fn each_order_is_its_own() {
        let (mut parent, mut child) = pair();
        assert!(matches!(child.receive(), Ok(Order::Nothing)));
        send_give_way(&parent).unwrap();
        send_drain(&parent).unwrap();
        send_wake(&parent).unwrap();
        assert!(matches!(child.receive(), Ok(Order::GiveWay)));
        assert!(matches!(child.receive(), Ok(Order::Drain)));
        assert!(matches!(child.receive(), Ok(Order::Wake)));
        assert!(matches!(child.receive(), Ok(Order::Nothing)));
        parent.close();
        assert!(matches!(child.receive(), Ok(Order::Closed)));
        assert_eq!(child.report(&[1]), Err(Errno::EPIPE));
    }

    #[test]
    fn a_pair_that_is_full_refuses() {
        let (parent, mut child) = pair();
        while send_wake(&parent).is_ok() {}
        assert_eq!(send_give_way(&parent), Err(Errno::EAGAIN));
        let (job, _client) = job(1, Protocol::Http);
        assert_eq!(send_jobs(&parent, &[job]), Err(Errno::EAGAIN));
        while child.report(&[1]).is_ok() {}
        assert_eq!(child.report(&[1]), Err(Errno::EAGAIN));
    }

    #[test]
    fn reports_arrive_whole() {
        let (parent, mut child) = pair();
        assert_eq!(receive_report(&parent), Ok(None));
        let most: std::vec::Vec<u32> = (0..REPORT_MAX as u32).map(|ticket| ticket << 20).collect();
        for tickets in [&[][..], &[7], &[1, u32::MAX], &most] {
            child.report(tickets).unwrap();
            assert_eq!(receive_report(&parent).unwrap().unwrap(), tickets);
        }
        child.descriptor.close();
        assert_eq!(receive_report(&parent), Ok(None), "the child is gone");
    }

    #[test]
    fn a_report_that_makes_no_sense_is_an_error() {
        let (parent, child) = pair();
        for bytes in [
            &[JOBS][..],
            &[ENDED, 1],
            &[ENDED, 0, 0, 0, 0, 0],
            &[0, 1, 0, 0, 0],
        ] {
            sys::send_message(child.descriptor.raw(), bytes, &[]).unwrap();
            assert_eq!(receive_report(&parent), Err(Errno::EPROTO), "{bytes:?}");
        }
    }

    #[test]
    #[should_panic(expected = "order 9 on a pair")]
    fn an_order_that_is_none_is_a_bug() {
        let (parent, mut child) = pair();
        sys::send_message(parent.raw(), &[9], &[]).unwrap();
        let _ = child.receive();
    }

    #[test]
    #[should_panic(expected = "a socket for each job")]
    fn a_job_without_a_socket_is_a_bug() {
        let (parent, mut child) = pair();
        sys::send_message(parent.raw(), &[JOBS; 1 + JOB_BYTES], &[]).unwrap();
        let _ = child.receive();
    }
}
