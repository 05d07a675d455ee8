//! Network devices.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::message::{Message, attributes};
use super::route::RouteSocket;
use super::socket::Reply;

const IFINFOMSG: usize = 16;
pub(super) const INFO_KIND: u16 = 1;
pub(super) const INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
/// `IF_OPER_UP` of RFC 2863.
const OPERATIONAL: u8 = 6;
pub(super) const NEW: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;

/// A network device, as far as an engine cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Index in its namespace.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Administratively up.
    pub up: bool,
    /// Packets pass: the kernel has noticed that there is a carrier.
    pub operational: bool,
    /// Kind of a virtual device (`bridge`, `veth`); empty for hardware.
    pub kind: String,
    /// Hardware address.
    pub mac: [u8; 6],
    /// MTU in bytes.
    pub mtu: u32,
    /// Index of the bridge it is a port of; 0 when none.
    pub master: u32,
    /// Index of a veth's other end in its own namespace; 0 when none.
    pub peer: u32,
    /// Device group.
    pub group: u32,
    /// Alias text; empty when none.
    pub alias: String,
}

/// A veth pair to create: one end here, up and a port of a bridge, the other inside another namespace, still down.
#[derive(Clone, Copy, Debug)]
pub struct VethPair<'a> {
    /// Name of the end in this namespace.
    pub name: &'a str,
    /// Name of the end in the other namespace.
    pub peer: &'a str,
    /// Hardware address of the end in the other namespace.
    pub peer_mac: [u8; 6],
    /// The other namespace.
    pub namespace: BorrowedFd<'a>,
    /// Index of the bridge.
    pub bridge: u32,
    /// MTU of both ends.
    pub mtu: u32,
    /// Group of the end in this namespace.
    pub group: u32,
}

impl RouteSocket {
    /// All devices.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let mut message = Message::new(libc::RTM_GETLINK, 0);
        message.raw(&ifinfomsg(0, 0, 0));
        Ok(self.0.dump(message)?.iter().map(parse).collect())
    }

    /// The device with this name, if there is one.
    pub fn link(&mut self, name: &str) -> io::Result<Option<Link>> {
        let mut message = Message::new(libc::RTM_GETLINK, 0);
        message.raw(&ifinfomsg(0, 0, 0)).text(libc::IFLA_IFNAME, name);
        match self.0.query(message) {
            Ok(reply) => Ok(Some(parse(&reply))),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until packets pass devices that are up at both ends. The kernel notices a carrier in a work queue and
    /// loses packets until then; newer kernels (6.8) do it at once when asked, with older ones this polls. Gives up
    /// after `patience`.
    pub fn wait_operational(&mut self, indices: &[u32], patience: Duration) -> io::Result<()> {
        let end = Instant::now() + patience;
        for &index in indices {
            let mut message = Message::new(libc::RTM_GETLINK, 0);
            message.raw(&ifinfomsg(index, 0, 0));
            while !parse(&self.0.query(message.clone())?).operational && Instant::now() < end {
                std::thread::sleep(Duration::from_micros(500));
            }
        }
        Ok(())
    }

    /// Creates a bridge that is up. A fixed hardware address keeps it from taking over that of a port.
    pub fn add_bridge(&mut self, name: &str, mac: [u8; 6], mtu: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, NEW);
        message
            .raw(&ifinfomsg(0, libc::IFF_UP as u32, libc::IFF_UP as u32))
            .text(libc::IFLA_IFNAME, name)
            .bytes(libc::IFLA_ADDRESS, &mac)
            .u32(libc::IFLA_MTU, mtu)
            .nest(libc::IFLA_LINKINFO, |info| {
                info.text(INFO_KIND, "bridge");
            });
        self.0.request(&mut [message])
    }

    /// Creates a veth pair in one request and returns the end in this namespace.
    pub fn add_veth(&mut self, pair: &VethPair<'_>) -> io::Result<Link> {
        let up = ifinfomsg(0, libc::IFF_UP as u32, libc::IFF_UP as u32);
        let mut message = Message::new(libc::RTM_NEWLINK, NEW);
        message
            .raw(&up)
            .text(libc::IFLA_IFNAME, pair.name)
            .u32(libc::IFLA_MTU, pair.mtu)
            .u32(libc::IFLA_MASTER, pair.bridge)
            .u32(libc::IFLA_GROUP, pair.group)
            .nest(libc::IFLA_LINKINFO, |info| {
                info.text(INFO_KIND, "veth").nest(INFO_DATA, |data| {
                    data.nest(VETH_INFO_PEER, |peer| {
                        // The kernel cannot bring this end up before the pair is complete.
                        peer.raw(&ifinfomsg(0, 0, 0))
                            .text(libc::IFLA_IFNAME, pair.peer)
                            .bytes(libc::IFLA_ADDRESS, &pair.peer_mac)
                            .u32(libc::IFLA_MTU, pair.mtu)
                            .u32(libc::IFLA_NET_NS_FD, pair.namespace.as_raw_fd() as u32);
                    });
                });
            });
        match self.0.request_echo(message)? {
            Some(reply) => Ok(parse(&reply)),
            None => self.link(pair.name)?.ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }

    /// Brings a device up.
    pub fn set_up(&mut self, index: u32) -> io::Result<()> {
        self.0.request(&mut [set_up(index)])
    }

    /// Sets a device's MTU.
    pub fn set_mtu(&mut self, index: u32, mtu: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, 0);
        message.raw(&ifinfomsg(index, 0, 0)).u32(libc::IFLA_MTU, mtu);
        self.0.request(&mut [message])
    }

    /// Makes a device a port of a bridge.
    pub fn set_master(&mut self, index: u32, bridge: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, 0);
        message.raw(&ifinfomsg(index, 0, 0)).u32(libc::IFLA_MASTER, bridge);
        self.0.request(&mut [message])
    }

    /// Writes a device's alias, a free text of up to 255 bytes.
    pub fn set_alias(&mut self, index: u32, alias: &str) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, 0);
        message.raw(&ifinfomsg(index, 0, 0)).bytes(libc::IFLA_IFALIAS, alias.as_bytes());
        self.0.request(&mut [message])
    }

    /// Puts a device into a group.
    pub fn set_group(&mut self, index: u32, group: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, 0);
        message.raw(&ifinfomsg(index, 0, 0)).u32(libc::IFLA_GROUP, group);
        self.0.request(&mut [message])
    }

    /// Deletes all devices of a group in the time of one; `ENODEV` when there is none.
    pub fn delete_group(&mut self, group: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_DELLINK, 0);
        message.raw(&ifinfomsg(0, 0, 0)).u32(libc::IFLA_GROUP, group);
        self.0.request(&mut [message])
    }

    /// Deletes a device. Slow: the kernel waits for readers (about 20 ms for a veth).
    pub fn delete_link(&mut self, index: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_DELLINK, 0);
        message.raw(&ifinfomsg(index, 0, 0));
        self.0.request(&mut [message])
    }
}

/// `struct ifinfomsg`: family, pad, type, index, flags, change mask.
pub(super) fn ifinfomsg(index: u32, flags: u32, change: u32) -> [u8; IFINFOMSG] {
    let mut bytes = [0; IFINFOMSG];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

/// Brings a device up without the kernel making up an IPv6 address for it: on an IPv4 network it needs none, nor the
/// packets that defend it. Fails with `EAFNOSUPPORT` where IPv6 is absent or the MTU too small for it.
pub(super) fn set_up_without_link_local(index: u32) -> Message {
    const ADDRESS_GENERATION_MODE: u16 = 8;
    const NONE: u8 = 1;
    let mut message = set_up(index);
    message.nest(libc::IFLA_AF_SPEC, |families| {
        families.nest(libc::AF_INET6 as u16, |inet6| {
            inet6.u8(ADDRESS_GENERATION_MODE, NONE);
        });
    });
    message
}

pub(super) fn set_up(index: u32) -> Message {
    let mut message = Message::new(libc::RTM_NEWLINK, 0);
    message.raw(&ifinfomsg(index, libc::IFF_UP as u32, libc::IFF_UP as u32));
    message
}

fn parse(reply: &Reply) -> Link {
    let Some((header, rest)) = reply.body.split_first_chunk::<IFINFOMSG>() else { return Link::default() };
    let flags = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
    let index = u32::from_ne_bytes([header[4], header[5], header[6], header[7]]);
    let mut link = Link { index, up: flags & libc::IFF_UP as u32 != 0, ..Link::default() };
    for attribute in attributes(rest) {
        match attribute.kind {
            libc::IFLA_IFNAME => link.name = attribute.text(),
            libc::IFLA_ADDRESS => link.mac = attribute.payload.try_into().unwrap_or_default(),
            libc::IFLA_MTU => link.mtu = attribute.u32().unwrap_or_default(),
            libc::IFLA_LINK => link.peer = attribute.u32().unwrap_or_default(),
            libc::IFLA_MASTER => link.master = attribute.u32().unwrap_or_default(),
            libc::IFLA_OPERSTATE => link.operational = attribute.payload == [OPERATIONAL],
            libc::IFLA_GROUP => link.group = attribute.u32().unwrap_or_default(),
            libc::IFLA_IFALIAS => link.alias = attribute.text(),
            libc::IFLA_LINKINFO => {
                link.kind = attribute.nested().find(|info| info.kind == INFO_KIND).map_or(String::new(), |a| a.text());
            }
            _ => {}
        }
    }
    link
}
