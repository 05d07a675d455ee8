//! Devices that stand on others (macvlan, ipvlan, VLANs) or on nothing (dummy), moving devices between namespaces, and
//! routes to certain destinations.
//!
//! Source: `linux/if_link.h`, `linux/rtnetlink.h`, ip-link(8).

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::address::{family, octets};
use super::link::{INFO_DATA, INFO_KIND, NEW, ifinfomsg};
use super::message::Message;
use super::route::RouteSocket;

const MACVLAN_MODE: u16 = 1;
const IPVLAN_MODE: u16 = 1;
const IPVLAN_FLAGS: u16 = 2;
const VLAN_ID: u16 = 1;

/// Kinds of devices that share a parent's wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stacked {
    /// A hardware address of its own; `MACVLAN_MODE_*`.
    Macvlan(u32),
    /// The parent's hardware address; `IPVLAN_MODE_*` and `IPVLAN_F_*`.
    Ipvlan {
        /// 0 for L2, 1 for L3, 2 for L3S.
        mode: u16,
        /// 0 for bridge, 1 for private, 2 for VEPA.
        flags: u16,
    },
}

/// A device on top of a parent of this namespace, to be made inside another one; it is down.
#[derive(Clone, Copy, Debug)]
pub struct Child<'a> {
    /// Its name there. No device here may have it: the kernel looks for it in both namespaces.
    pub name: &'a str,
    /// Index of the parent, here.
    pub parent: u32,
    /// The other namespace.
    pub namespace: BorrowedFd<'a>,
    /// Hardware address; `None` leaves it to the kernel.
    pub mac: Option<[u8; 6]>,
    /// `None` takes the parent's.
    pub mtu: Option<u32>,
    /// What it is.
    pub kind: Stacked,
}

impl RouteSocket {
    /// Makes a device on top of a parent inside another namespace, with which it goes.
    pub fn add_child(&mut self, child: &Child<'_>) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, NEW);
        message
            .raw(&ifinfomsg(0, 0, 0))
            .text(libc::IFLA_IFNAME, child.name)
            .u32(libc::IFLA_LINK, child.parent)
            .u32(libc::IFLA_NET_NS_FD, child.namespace.as_raw_fd() as u32);
        if let Some(mac) = child.mac {
            message.bytes(libc::IFLA_ADDRESS, &mac);
        }
        if let Some(mtu) = child.mtu {
            message.u32(libc::IFLA_MTU, mtu);
        }
        describe(&mut message, child.kind);
        self.0.request(&mut [message])
    }

    /// Whether the kernel has that kind of device; it loads the module for the question. Nothing is made: there is no
    /// parent of index 0.
    pub fn knows(&mut self, kind: Stacked) -> io::Result<bool> {
        let mut message = Message::new(libc::RTM_NEWLINK, NEW);
        message.raw(&ifinfomsg(0, 0, 0)).u32(libc::IFLA_LINK, 0);
        describe(&mut message, kind);
        match self.0.request(&mut [message]) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(false),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EINVAL)) => Ok(true),
            done => done.map(|()| true),
        }
    }

    /// Makes a device that leads nowhere, up. A kernel without dummy devices may have the kind `ifb`, which drops what
    /// it is given just as well.
    pub fn add_dummy(&mut self, name: &str, group: u32) -> io::Result<()> {
        let mut add = |kind| {
            self.add_up(name, group, None, |info| {
                info.text(INFO_KIND, kind);
            })
        };
        match add("dummy") {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => add("ifb"),
            done => done,
        }
    }

    /// Makes a device for the frames of one VLAN (802.1Q) on a device, up.
    pub fn add_vlan(&mut self, name: &str, group: u32, parent: u32, id: u16) -> io::Result<()> {
        self.add_up(name, group, Some(parent), |info| {
            info.text(INFO_KIND, "vlan").nest(INFO_DATA, |data| {
                data.bytes(VLAN_ID, &id.to_ne_bytes());
            });
        })
    }

    fn add_up(
        &mut self,
        name: &str,
        group: u32,
        parent: Option<u32>,
        info: impl FnOnce(&mut Message),
    ) -> io::Result<()> {
        let up = libc::IFF_UP as u32;
        let mut message = Message::new(libc::RTM_NEWLINK, NEW);
        message.raw(&ifinfomsg(0, up, up)).text(libc::IFLA_IFNAME, name).u32(libc::IFLA_GROUP, group);
        if let Some(parent) = parent {
            message.u32(libc::IFLA_LINK, parent);
        }
        message.nest(libc::IFLA_LINKINFO, info);
        self.0.request(&mut [message])
    }

    /// Moves a device into another namespace and renames it on the way; it arrives down and without addresses.
    pub fn move_link(&mut self, index: u32, namespace: BorrowedFd<'_>, name: &str) -> io::Result<()> {
        let down = ifinfomsg(index, 0, libc::IFF_UP as u32);
        let mut silenced = Message::new(libc::RTM_NEWLINK, 0);
        silenced.raw(&down);
        let mut moved = Message::new(libc::RTM_NEWLINK, 0);
        moved
            .raw(&ifinfomsg(index, 0, 0))
            .u32(libc::IFLA_NET_NS_FD, namespace.as_raw_fd() as u32)
            .text(libc::IFLA_IFNAME, name);
        self.0.request(&mut [silenced, moved])
    }

    /// Renames a device that is down.
    pub fn rename(&mut self, index: u32, name: &str) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, 0);
        message.raw(&ifinfomsg(index, 0, 0)).text(libc::IFLA_IFNAME, name);
        self.0.request(&mut [message])
    }

    /// Gives a device a hardware address.
    pub fn set_mac(&mut self, index: u32, mac: [u8; 6]) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, 0);
        message.raw(&ifinfomsg(index, 0, 0)).bytes(libc::IFLA_ADDRESS, &mac);
        self.0.request(&mut [message])
    }

    /// Makes a route to `destination`/`prefix`, by a gateway or to whoever is behind the device, in the place of
    /// another one.
    pub fn replace_route(&mut self, destination: (IpAddr, u8), gateway: Option<IpAddr>, device: u32) -> io::Result<()> {
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
        self.0.request(&mut [route(libc::RTM_NEWROUTE, flags, destination, gateway, device)])
    }

    /// Takes such a route away; none is fine.
    pub fn delete_route(&mut self, destination: (IpAddr, u8), gateway: Option<IpAddr>, device: u32) -> io::Result<()> {
        match self.0.request(&mut [route(libc::RTM_DELROUTE, 0, destination, gateway, device)]) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            done => done,
        }
    }
}

fn describe(message: &mut Message, kind: Stacked) {
    message.nest(libc::IFLA_LINKINFO, |info| match kind {
        Stacked::Macvlan(mode) => {
            info.text(INFO_KIND, "macvlan").nest(INFO_DATA, |data| {
                data.u32(MACVLAN_MODE, mode);
            });
        }
        Stacked::Ipvlan { mode, flags } => {
            info.text(INFO_KIND, "ipvlan").nest(INFO_DATA, |data| {
                data.bytes(IPVLAN_MODE, &mode.to_ne_bytes()).bytes(IPVLAN_FLAGS, &flags.to_ne_bytes());
            });
        }
    });
}

fn route(kind: u16, flags: u16, (address, prefix): (IpAddr, u8), gateway: Option<IpAddr>, device: u32) -> Message {
    // `struct rtmsg`: family, lengths of destination and source, tos, table, protocol, scope, type, flags.
    let mut header = [0; 12];
    header[0] = family(address);
    header[1] = prefix;
    header[4] = libc::RT_TABLE_MAIN;
    header[5] = libc::RTPROT_BOOT;
    header[6] = if gateway.is_none() { libc::RT_SCOPE_LINK } else { libc::RT_SCOPE_UNIVERSE };
    header[7] = libc::RTN_UNICAST;
    let mut message = Message::new(kind, flags);
    message.raw(&header);
    if prefix > 0 {
        message.bytes(libc::RTA_DST, &octets(address));
    }
    if let Some(gateway) = gateway {
        message.bytes(libc::RTA_GATEWAY, &octets(gateway));
    }
    message.u32(libc::RTA_OIF, device);
    message
}
