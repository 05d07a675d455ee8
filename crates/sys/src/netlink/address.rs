//! IPv4 addresses of devices.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::message::{Message, attributes};
use super::route::RouteSocket;

const IFADDRMSG: usize = 8;

/// An IPv4 address on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Index of the device.
    pub device: u32,
    /// The address.
    pub address: Ipv4Addr,
    /// Prefix length.
    pub prefix: u8,
}

impl RouteSocket {
    /// All IPv4 addresses.
    pub fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let mut message = Message::new(libc::RTM_GETADDR, 0);
        message.raw(&ifaddrmsg(0, 0));
        let mut found = Vec::new();
        for reply in self.0.dump(message)? {
            let Some((header, rest)) = reply.body.split_first_chunk::<IFADDRMSG>() else { continue };
            let device = u32::from_ne_bytes([header[4], header[5], header[6], header[7]]);
            let local = attributes(rest).find(|attribute| attribute.kind == libc::IFA_LOCAL);
            if let Some(octets) = local.and_then(|local| <[u8; 4]>::try_from(local.payload).ok()) {
                found.push(Address { device, address: octets.into(), prefix: header[1] });
            }
        }
        Ok(found)
    }

    /// Gives a device an address, with the broadcast address that belongs to it.
    pub fn add_address(&mut self, address: Address) -> io::Result<()> {
        self.0.request(&mut [add_address(address)])
    }

    /// Gives a device an IPv6 address at once, without asking whether another machine has it; that it has it is fine.
    pub fn add_address6(&mut self, device: u32, address: Ipv6Addr, prefix: u8) -> io::Result<()> {
        match self.0.request(&mut [add_address6(device, address, prefix)]) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done,
        }
    }

    /// Takes an address from a device.
    pub fn delete_address(&mut self, address: Address) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_DELADDR, 0);
        message
            .raw(&ifaddrmsg(address.prefix, address.device))
            .bytes(libc::IFA_LOCAL, &address.address.octets())
            .bytes(libc::IFA_ADDRESS, &address.address.octets());
        self.0.request(&mut [message])
    }
}

pub(super) fn add_address(address: Address) -> Message {
    let host = u32::MAX.checked_shr(u32::from(address.prefix)).unwrap_or(0);
    let broadcast = u32::from(address.address) | host;
    let mut message = Message::new(libc::RTM_NEWADDR, (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16);
    message
        .raw(&ifaddrmsg(address.prefix, address.device))
        .bytes(libc::IFA_LOCAL, &address.address.octets())
        .bytes(libc::IFA_ADDRESS, &address.address.octets())
        .bytes(libc::IFA_BROADCAST, &broadcast.to_be_bytes());
    message
}

pub(super) fn add_address6(device: u32, address: Ipv6Addr, prefix: u8) -> Message {
    let mut header = ifaddrmsg(prefix, device);
    header[0] = libc::AF_INET6 as u8;
    header[2] = libc::IFA_F_NODAD as u8;
    let mut message = Message::new(libc::RTM_NEWADDR, (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16);
    message.raw(&header).bytes(libc::IFA_LOCAL, &address.octets()).bytes(libc::IFA_ADDRESS, &address.octets());
    message
}

/// `struct ifaddrmsg`: family, prefix length, flags, scope, index.
fn ifaddrmsg(prefix: u8, device: u32) -> [u8; IFADDRMSG] {
    let mut bytes = [0; IFADDRMSG];
    bytes[0] = libc::AF_INET as u8;
    bytes[1] = prefix;
    bytes[4..8].copy_from_slice(&device.to_ne_bytes());
    bytes
}
