//! DHCP's messages as bytes (RFC 2131, 2; options: RFC 2132).

use std::net::Ipv4Addr;

/// The fixed fields, and the four bytes that say that options follow.
const HEAD_BYTES: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Some servers and relays drop shorter ones, as BOOTP's always were this long.
const BYTES_MIN: usize = 300;

const MASK: u8 = 1;
const ROUTER: u8 = 3;
const HOST_NAME: u8 = 12;
const WANTED_ADDRESS: u8 = 50;
const LEASE_TIME: u8 = 51;
const KIND: u8 = 53;
const SERVER: u8 = 54;
const PARAMETERS: u8 = 55;
const RENEWAL_TIME: u8 = 58;
const REBINDING_TIME: u8 = 59;
const PAD: u8 = 0;
const END: u8 = 255;

/// The kinds of messages that a client sends and gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Discover,
    Offer,
    Request,
    Acknowledge,
    Refuse,
}

impl Kind {
    const ALL: [(Self, u8); 5] = [
        (Self::Discover, 1),
        (Self::Offer, 2),
        (Self::Request, 3),
        (Self::Acknowledge, 5),
        (Self::Refuse, 6),
    ];

    fn number(self) -> u8 {
        let found = Self::ALL.iter().find(|(kind, _)| *kind == self);
        found.map_or(0, |(_, number)| *number)
    }

    fn of(number: u8) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, own)| *own == number);
        found.map(|(kind, _)| *kind)
    }
}

/// A message, as far as a client needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) transaction: u32,
    pub(crate) hardware: [u8; 6],
    /// From a client, the address that it has; from a server, the one that it lends.
    pub(crate) own: Option<Ipv4Addr>,
    /// The address that a client asks for.
    pub(crate) wanted: Option<Ipv4Addr>,
    pub(crate) server: Option<Ipv4Addr>,
    pub(crate) prefix: Option<u8>,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) lease_s: Option<u32>,
    pub(crate) renew_s: Option<u32>,
    pub(crate) rebind_s: Option<u32>,
    /// The client's name, for the names that a router knows; none if empty.
    pub(crate) name: String,
}

impl Message {
    /// One that says nothing but its kind.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            transaction: 0,
            hardware: [0; 6],
            own: None,
            wanted: None,
            server: None,
            prefix: None,
            gateway: None,
            lease_s: None,
            renew_s: None,
            rebind_s: None,
            name: String::new(),
        }
    }

    /// As a client sends it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD_BYTES];
        // A request, by Ethernet, whose addresses have 6 bytes.
        bytes[..3].copy_from_slice(&[1, 1, 6]);
        bytes[4..8].copy_from_slice(&self.transaction.to_be_bytes());
        match self.own {
            Some(own) => bytes[12..16].copy_from_slice(&own.octets()),
            // Without an address it can only be told by a broadcast.
            None => bytes[10] = 0x80,
        }
        bytes[28..34].copy_from_slice(&self.hardware);
        bytes[236..240].copy_from_slice(&COOKIE);
        let mut put = |code: u8, data: &[u8]| {
            bytes.extend([code, data.len() as u8]);
            bytes.extend(data);
        };
        put(KIND, &[self.kind.number()]);
        if let Some(wanted) = self.wanted {
            put(WANTED_ADDRESS, &wanted.octets());
        }
        if let Some(server) = self.server {
            put(SERVER, &server.octets());
        }
        put(
            PARAMETERS,
            &[MASK, ROUTER, LEASE_TIME, RENEWAL_TIME, REBINDING_TIME],
        );
        if !self.name.is_empty() && self.name.len() <= 63 {
            put(HOST_NAME, self.name.as_bytes());
        }
        bytes.push(END);
        bytes.resize(bytes.len().max(BYTES_MIN), PAD);
        bytes
    }

    /// What a server sent; `None` for what is no such message.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, options) = bytes.split_at_checked(HEAD_BYTES)?;
        if head[0] != 2 || head[1..3] != [1, 6] || head[236..240] != COOKIE {
            return None;
        }
        let mut message = Self::new(Kind::Offer);
        message.transaction = u32::from_be_bytes(head[4..8].try_into().ok()?);
        message.hardware = head[28..34].try_into().ok()?;
        message.own = address(&head[16..20]).filter(is_usable);
        let mut kind = None;
        let mut rest = options;
        while let Some((&code, after)) = rest.split_first() {
            match code {
                PAD => rest = after,
                END => break,
                code => {
                    let (&length, after) = after.split_first()?;
                    let (data, after) = after.split_at_checked(length.into())?;
                    rest = after;
                    if code == KIND {
                        kind = Kind::of(*data.first()?);
                    }
                    message.take_option(code, data);
                }
            }
        }
        message.kind = kind?;
        Some(message)
    }

    fn take_option(&mut self, code: u8, data: &[u8]) {
        let seconds = || Some(u32::from_be_bytes(data.try_into().ok()?));
        match code {
            MASK => self.prefix = address(data).and_then(prefix_of),
            // The first of them is the best.
            ROUTER => self.gateway = data.get(..4).and_then(address).filter(is_usable),
            SERVER => self.server = address(data).filter(is_usable),
            LEASE_TIME => self.lease_s = seconds(),
            RENEWAL_TIME => self.renew_s = seconds(),
            REBINDING_TIME => self.rebind_s = seconds(),
            _ => {}
        }
    }
}

fn address(data: &[u8]) -> Option<Ipv4Addr> {
    Some(<[u8; 4]>::try_from(data).ok()?.into())
}

/// Whether a host can have it.
fn is_usable(address: &Ipv4Addr) -> bool {
    let other = address.is_unspecified() || address.is_broadcast() || address.is_multicast();
    !other && !address.is_loopback()
}

/// The length of a mask; `None` for one with holes, and for that of all networks.
fn prefix_of(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let ones = bits.leading_ones();
    (ones > 0 && ones + bits.trailing_zeros() == 32).then_some(ones as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HARDWARE: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    /// What a server sends.
    fn answer(options: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; HEAD_BYTES];
        bytes[..3].copy_from_slice(&[2, 1, 6]);
        bytes[4..8].copy_from_slice(&7_u32.to_be_bytes());
        bytes[16..20].copy_from_slice(&[10, 0, 2, 15]);
        bytes[28..34].copy_from_slice(&HARDWARE);
        bytes[236..240].copy_from_slice(&COOKIE);
        bytes.extend(options.concat());
        bytes
    }

    #[test]
    fn an_answer_is_read() {
        let bytes = answer(&[
            &[PAD, KIND, 1, 2],
            &[MASK, 4, 255, 255, 254, 0],
            &[ROUTER, 8, 10, 0, 2, 2, 10, 0, 2, 3],
            &[SERVER, 4, 10, 0, 2, 4],
            &[LEASE_TIME, 4, 0, 1, 0x51, 0x80],
            &[15, 2, b'a', b'b', END, KIND, 1, 6],
        ]);
        let message = Message::from_bytes(&bytes).unwrap();
        let expected = Message {
            transaction: 7,
            hardware: HARDWARE,
            own: Some([10, 0, 2, 15].into()),
            server: Some([10, 0, 2, 4].into()),
            prefix: Some(23),
            gateway: Some([10, 0, 2, 2].into()),
            lease_s: Some(86400),
            ..Message::new(Kind::Offer)
        };
        assert_eq!(message, expected);
    }

    #[test]
    fn no_cut_answer_is_taken_for_more_than_it_holds() {
        let whole = answer(&[&[SERVER, 4, 10, 0, 2, 4], &[KIND, 1, 5, END]]);
        assert!(Message::from_bytes(&whole).is_some());
        for length in 0..whole.len() - 1 {
            assert_eq!(Message::from_bytes(&whole[..length]), None, "{length}");
        }
    }

    #[test]
    fn nonsense_is_passed_over() {
        let mut request = answer(&[&[KIND, 1, 2]]);
        request[0] = 1;
        assert_eq!(Message::from_bytes(&request), None);
        assert_eq!(Message::from_bytes(&answer(&[&[KIND, 1, 99]])), None);
        assert_eq!(Message::from_bytes(&answer(&[&[KIND, 0]])), None);
        let odd = answer(&[
            &[KIND, 1, 2],
            &[MASK, 4, 255, 0, 255, 0],
            &[ROUTER, 3, 10, 0, 2],
            &[SERVER, 4, 255, 255, 255, 255],
            &[LEASE_TIME, 2, 0, 1],
        ]);
        let message = Message::from_bytes(&odd).unwrap();
        assert_eq!((message.prefix, message.gateway), (None, None));
        assert_eq!((message.server, message.lease_s), (None, None));
    }

    #[test]
    fn a_request_says_who_asks_for_what() {
        let message = Message {
            transaction: 0x0102_0304,
            hardware: HARDWARE,
            wanted: Some([10, 0, 2, 15].into()),
            server: Some([10, 0, 2, 4].into()),
            name: "yard".into(),
            ..Message::new(Kind::Request)
        };
        let bytes = message.to_bytes();
        assert_eq!(bytes.len(), BYTES_MIN);
        assert_eq!(bytes[..12], [1, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0x80, 0]);
        assert_eq!(bytes[28..34], HARDWARE);
        let options: &[u8] = &[
            53, 1, 3, 50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 4, 55, 5, 1, 3, 51, 58, 59, 12, 4,
            b'y', b'a', b'r', b'd', 255,
        ];
        assert_eq!(bytes[240..240 + options.len()], *options);
    }
}
