//! IPv4 routes, and the socket that speaks of links, addresses and routes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::{Address, add_address, add_address6};
use super::link::{set_up, set_up_without_link_local};
use super::message::{Message, attributes};
use super::socket::{Protocol, Socket};

const RTMSG: usize = 12;

/// A routing socket of one network namespace.
#[derive(Debug)]
pub struct RouteSocket(pub(super) Socket);

/// An IPv4 unicast route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Destination; 0.0.0.0/0 is the default route.
    pub destination: Ipv4Addr,
    /// Prefix length of the destination.
    pub prefix: u8,
    /// Index of the outgoing device; 0 for a route with several.
    pub device: u32,
    /// Priority; the lowest wins.
    pub metric: u32,
}

/// How a container's device is to be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// IPv4 address, and the device.
    pub address: Address,
    /// Default route of IPv4.
    pub gateway: Option<Ipv4Addr>,
    /// IPv6 address and prefix length.
    pub address6: Option<(Ipv6Addr, u8)>,
    /// Default route of IPv6.
    pub gateway6: Option<Ipv6Addr>,
}

impl RouteSocket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        Socket::open(Protocol::Route).map(Self)
    }

    /// The unicast routes of the main table.
    pub fn routes(&mut self) -> io::Result<Vec<Route>> {
        let mut message = Message::new(libc::RTM_GETROUTE, 0);
        message.raw(&rtmsg(0, 0));
        let mut routes = Vec::new();
        for reply in self.0.dump(message)? {
            let Some((header, rest)) = reply.body.split_first_chunk::<RTMSG>() else { continue };
            if header[4] != libc::RT_TABLE_MAIN || header[7] != libc::RTN_UNICAST {
                continue;
            }
            let mut route = Route { destination: Ipv4Addr::UNSPECIFIED, prefix: header[1], device: 0, metric: 0 };
            for attribute in attributes(rest) {
                match attribute.kind {
                    libc::RTA_DST => route.destination = attribute.payload.try_into().map_or(route.destination, octets),
                    libc::RTA_OIF => route.device = attribute.u32().unwrap_or_default(),
                    libc::RTA_PRIORITY => route.metric = attribute.u32().unwrap_or_default(),
                    _ => {}
                }
            }
            routes.push(route);
        }
        Ok(routes)
    }

    /// Gives a device its addresses, brings it up, and makes gateways behind it the default routes where asked. Without
    /// an IPv6 address the kernel is kept from making one up.
    pub fn configure(&mut self, wanted: &Configuration) -> io::Result<()> {
        let device = wanted.address.device;
        let mut routes: Vec<Message> = Vec::new();
        routes.extend(wanted.gateway.map(|gateway| default_route(libc::RTM_NEWROUTE, gateway.into(), device)));
        routes.extend(wanted.gateway6.map(|gateway| default_route(libc::RTM_NEWROUTE, gateway.into(), device)));
        let Some((address6, prefix6)) = wanted.address6 else {
            let mut messages = vec![add_address(wanted.address), set_up_without_link_local(device)];
            messages.extend(routes.iter().cloned());
            return match self.0.request(&mut messages) {
                // IPv6 is absent, or the MTU too small for it: the device stayed down, and there was no way to the gateway.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {
                    routes.insert(0, set_up(device));
                    self.0.request(&mut routes)
                }
                done => done,
            };
        };
        let mut messages = vec![add_address(wanted.address), set_up(device), add_address6(device, address6, prefix6)];
        messages.extend(routes);
        self.0.request(&mut messages)
    }

    /// Makes a gateway behind a device the default route of its family, in the place of another one.
    pub fn replace_default(&mut self, gateway: IpAddr, device: u32) -> io::Result<()> {
        self.0.request(&mut [default_route(libc::RTM_NEWROUTE, gateway, device)])
    }

    /// Takes the default route by that gateway away; none is fine.
    pub fn delete_default(&mut self, gateway: IpAddr, device: u32) -> io::Result<()> {
        match self.0.request(&mut [default_route(libc::RTM_DELROUTE, gateway, device)]) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            done => done,
        }
    }
}

fn default_route(kind: u16, gateway: IpAddr, device: u32) -> Message {
    let flags = if kind == libc::RTM_NEWROUTE { libc::NLM_F_CREATE | libc::NLM_F_REPLACE } else { 0 };
    let mut route = Message::new(kind, flags as u16);
    let mut header = rtmsg(libc::RT_TABLE_MAIN, libc::RTN_UNICAST);
    match gateway {
        IpAddr::V4(gateway) => route.raw(&header).bytes(libc::RTA_GATEWAY, &gateway.octets()),
        IpAddr::V6(gateway) => {
            header[0] = libc::AF_INET6 as u8;
            route.raw(&header).bytes(libc::RTA_GATEWAY, &gateway.octets())
        }
    };
    route.u32(libc::RTA_OIF, device);
    route
}

fn octets(octets: [u8; 4]) -> Ipv4Addr {
    octets.into()
}

/// `struct rtmsg` for a destination of length 0: family, lengths, tos, table, protocol, scope, type, flags.
fn rtmsg(table: u8, kind: u8) -> [u8; RTMSG] {
    let mut bytes = [0; RTMSG];
    bytes[0] = libc::AF_INET as u8;
    bytes[4] = table;
    bytes[5] = libc::RTPROT_BOOT;
    bytes[6] = libc::RT_SCOPE_UNIVERSE;
    bytes[7] = kind;
    bytes
}
