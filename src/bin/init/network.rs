//! The network: the first Ethernet interface that there is, at any time, with an address.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use trainyard::sys;

use crate::console::say;
use crate::dhcp::{Change, Client, Lease, Outgoing};
use crate::message::Message;
use crate::settings::Settings;

/// An Ethernet interface, in the kernel's numbers (ARPHRD_ETHER of if_arp.h).
const ETHERNET: &str = "1";
const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// No message is longer, as no packet of Ethernet is.
const MESSAGE_BYTES_MAX: usize = 1500;

/// The interface in use.
struct Interface {
    name: String,
    /// Another one of the same name has another number.
    number: String,
    has_carrier: bool,
    /// None for a fixed address.
    lending: Option<Lending>,
}

/// An address that is lent.
struct Lending {
    client: Client,
    socket: UdpSocket,
    /// What the interface has now.
    lease: Option<Lease>,
}

/// The network.
#[derive(Default)]
pub(crate) struct Network {
    interface: Option<Interface>,
    /// One that could not be set up, which has been told.
    failed: Option<String>,
}

impl Network {
    /// The loopback interface, for programs on the board itself.
    pub(crate) fn raise_loopback() {
        if let Err(errno) = sys::raise_interface("lo") {
            say!("network: lo: {}", errno.desc());
        }
    }

    /// Finds the interface, asks for an address and takes what came. To be called a few times a second.
    pub(crate) fn look(&mut self, settings: &Settings, now_ms: u64) {
        if let Some(interface) = &self.interface
            && number_of(&interface.name).as_ref() != Some(&interface.number)
        {
            say!("network: {} went", interface.name);
            self.interface = None;
        }
        if self.interface.is_none() {
            self.find(settings, now_ms);
        }
        if let Some(interface) = &mut self.interface {
            interface.look(now_ms);
        }
    }

    /// The socket to wait for, if there is one.
    pub(crate) fn socket(&self) -> Option<&UdpSocket> {
        let lending = self.interface.as_ref()?.lending.as_ref()?;
        Some(&lending.socket)
    }

    fn find(&mut self, settings: &Settings, now_ms: u64) {
        let Some(name) = first_ethernet() else {
            return;
        };
        match Interface::set_up(&name, settings, now_ms) {
            Ok(interface) => {
                self.failed = None;
                self.interface = Some(interface);
            }
            Err(reason) => {
                if self.failed.as_ref() != Some(&name) {
                    say!("network: {name}: {reason}");
                }
                self.failed = Some(name);
            }
        }
    }
}

impl Interface {
    fn set_up(name: &str, settings: &Settings, now_ms: u64) -> Result<Self, String> {
        let told = |errno: Errno| errno.desc().to_string();
        let number = number_of(name).ok_or("went")?;
        sys::raise_interface(name).map_err(told)?;
        let lending = if let Some(fixed) = settings.fixed {
            assign(name, fixed.address, fixed.prefix, settings.gateway).map_err(told)?;
            None
        } else {
            let hardware = hardware_of(name).ok_or("has no address of its own")?;
            say!("network: {name}: looking for an address");
            Some(Lending {
                client: Client::new(hardware, &settings.name, random(), now_ms),
                socket: socket_on(name).map_err(|error| format!("no socket for DHCP: {error}"))?,
                lease: None,
            })
        };
        Ok(Self {
            name: name.into(),
            number,
            has_carrier: false,
            lending,
        })
    }

    fn look(&mut self, now_ms: u64) {
        let had_carrier = self.has_carrier;
        self.has_carrier = attribute(&self.name, "carrier").as_deref() == Some("1");
        if self.has_carrier != had_carrier {
            let state = if self.has_carrier { "in" } else { "out" };
            say!("network: {}: cable {state}", self.name);
        }
        let Some(lending) = &mut self.lending else {
            return;
        };
        if self.has_carrier && !had_carrier {
            lending.client.restart(now_ms);
        }
        lending.receive(&self.name, now_ms);
        // Without a cable nothing would arrive, but what is lent ends all the same.
        let (outgoing, change) = lending.client.next(now_ms);
        if let Some(outgoing) = outgoing.filter(|_| self.has_carrier) {
            lending.send(&self.name, &outgoing);
        }
        if let Some(change) = change {
            lending.apply(&self.name, change);
        }
    }
}

impl Lending {
    fn receive(&mut self, name: &str, now_ms: u64) {
        let mut bytes = [0; MESSAGE_BYTES_MAX];
        while let Ok((length, _)) = self.socket.recv_from(&mut bytes) {
            let message = bytes.get(..length).and_then(Message::from_bytes);
            let change = message.and_then(|message| self.client.take(&message, now_ms));
            if let Some(change) = change {
                self.apply(name, change);
            }
        }
    }

    fn send(&self, name: &str, outgoing: &Outgoing) {
        let server = outgoing.server.unwrap_or(Ipv4Addr::BROADCAST);
        let to = SocketAddrV4::new(server, SERVER_PORT);
        if let Err(error) = self.socket.send_to(&outgoing.message.to_bytes(), to) {
            say!("network: {name}: DHCP cannot ask {server}: {error}");
        }
    }

    fn apply(&mut self, name: &str, change: Change) {
        let applied = match change {
            Change::Leased(lease) if self.lease == Some(lease) => return,
            Change::Leased(lease) => {
                self.lease = Some(lease);
                assign(name, lease.address, lease.prefix, lease.gateway)
            }
            Change::Lost => {
                say!("network: {name}: the address is no longer lent");
                self.lease = None;
                sys::set_address(name, Ipv4Addr::UNSPECIFIED, 0)
            }
        };
        if let Err(errno) = applied {
            say!("network: {name}: {}", errno.desc());
        }
    }
}

/// Sets address and gateway, and says where the board can be reached.
fn assign(
    name: &str,
    address: Ipv4Addr,
    prefix: u8,
    gateway: Option<Ipv4Addr>,
) -> Result<(), Errno> {
    // What the interface had goes first, with its routes.
    sys::set_address(name, Ipv4Addr::UNSPECIFIED, 0)?;
    sys::set_address(name, address, prefix)?;
    match gateway.map(|gateway| (gateway, sys::add_gateway(gateway))) {
        Some((gateway, Err(errno))) => {
            say!(
                "network: {name}: {address}/{prefix}, no way by {gateway}: {}",
                errno.desc()
            );
        }
        Some((gateway, Ok(()))) => say!("network: {name}: {address}/{prefix} by {gateway}"),
        None => say!("network: {name}: {address}/{prefix}"),
    }
    Ok(())
}

/// The first by name, so that it is the same one each time.
fn first_ethernet() -> Option<String> {
    let names = fs::read_dir("/sys/class/net").ok()?.flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let is_wireless =
        |name: &str| fs::exists(format!("/sys/class/net/{name}/phy80211")).unwrap_or(false);
    names
        .filter(|name| attribute(name, "type").as_deref() == Some(ETHERNET) && !is_wireless(name))
        .min()
}

fn number_of(name: &str) -> Option<String> {
    attribute(name, "ifindex")
}

fn attribute(name: &str, attribute: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/class/net/{name}/{attribute}")).ok()?;
    Some(text.trim_end().into())
}

fn hardware_of(name: &str) -> Option<[u8; 6]> {
    let text = attribute(name, "address")?;
    let bytes: Option<Vec<u8>> = text
        .split(':')
        .map(|part| u8::from_str_radix(part, 16).ok())
        .collect();
    bytes?.try_into().ok()
}

/// std seeds its hash tables from the kernel's random numbers.
fn random() -> u32 {
    RandomState::new().hash_one(()) as u32
}

/// Answers come to a board that has no address yet, so they are told apart by the interface.
fn socket_on(name: &str) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, CLIENT_PORT))?;
    socket.set_nonblocking(true)?;
    socket.set_broadcast(true)?;
    setsockopt(&socket, sockopt::BindToDevice, &name.into())?;
    Ok(socket)
}
