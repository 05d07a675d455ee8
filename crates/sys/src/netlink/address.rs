//! Addresses of devices.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{Message, attributes};
use super::route::RouteSocket;

const IFADDRMSG: usize = 8;

/// An address on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Index of the device.
    pub device: u32,
    /// The address.
    pub address: IpAddr,
    /// Prefix length.
    pub prefix: u8,
}

impl RouteSocket {
    /// All addresses of both families.
    pub fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let mut message = Message::new(libc::RTM_GETADDR, 0);
        message.raw(&[0; IFADDRMSG]);
        let mut found = Vec::new();
        for reply in self.0.dump(message)? {
            let Some((header, rest)) = reply.body.split_first_chunk::<IFADDRMSG>() else { continue };
            let device = u32::from_ne_bytes([header[4], header[5], header[6], header[7]]);
            // Of a link between two points `IFA_ADDRESS` is the other end's; IPv6 has `IFA_LOCAL` there only.
            let of = |kind| attributes(rest).find(|attribute| attribute.kind == kind);
            let own = of(libc::IFA_LOCAL).or_else(|| of(libc::IFA_ADDRESS));
            if let Some(address) = own.and_then(|own| ip_address(own.payload)) {
                found.push(Address { device, address, prefix: header[1] });
            }
        }
        Ok(found)
    }

    /// Gives a device an address: of IPv4 with the broadcast address that belongs to it, of IPv6 at once, without asking
    /// whether another machine has it. That it has it is `AlreadyExists`.
    pub fn add_address(&mut self, address: Address) -> io::Result<()> {
        self.0.request(&mut [add_address(address)])
    }

    /// Takes an address from a device.
    pub fn delete_address(&mut self, address: Address) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_DELADDR, 0);
        message.raw(&ifaddrmsg(address, 0));
        write(&mut message, address.address);
        self.0.request(&mut [message])
    }
}

pub(super) fn add_address(address: Address) -> Message {
    let mut message = Message::new(libc::RTM_NEWADDR, (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16);
    match address.address {
        IpAddr::V4(own) => {
            let host = u32::MAX.checked_shr(u32::from(address.prefix)).unwrap_or(0);
            write(message.raw(&ifaddrmsg(address, 0)), address.address);
            message.bytes(libc::IFA_BROADCAST, &(u32::from(own) | host).to_be_bytes());
        }
        IpAddr::V6(_) => write(message.raw(&ifaddrmsg(address, libc::IFA_F_NODAD as u8)), address.address),
    }
    message
}

fn write(message: &mut Message, address: IpAddr) {
    let octets = octets(address);
    message.bytes(libc::IFA_LOCAL, &octets).bytes(libc::IFA_ADDRESS, &octets);
}

/// `struct ifaddrmsg`: family, prefix length, flags, scope, index.
fn ifaddrmsg(address: Address, flags: u8) -> [u8; IFADDRMSG] {
    let mut bytes = [0; IFADDRMSG];
    bytes[0] = family(address.address);
    bytes[1] = address.prefix;
    bytes[2] = flags;
    bytes[4..8].copy_from_slice(&address.device.to_ne_bytes());
    bytes
}

/// `AF_INET` or `AF_INET6`.
pub(super) fn family(address: IpAddr) -> u8 {
    (if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

/// The bytes in network order.
pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The address of four or sixteen bytes.
pub(crate) fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let ipv4 = <[u8; 4]>::try_from(bytes).map(|octets| Ipv4Addr::from(octets).into());
    ipv4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|octets| Ipv6Addr::from(octets).into())).ok()
}
