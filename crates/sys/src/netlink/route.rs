//! IPv4 routes, and the socket that speaks of links, addresses and routes.

use std::io;
use std::net::Ipv4Addr;

use super::address::{Address, add_address};
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

    /// Gives a device its IPv4 address, keeps the kernel from making up an IPv6 one, brings it up and makes a gateway behind it the default route.
    pub fn configure(&mut self, address: Address, gateway: Ipv4Addr) -> io::Result<()> {
        let mut route = Message::new(libc::RTM_NEWROUTE, (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16);
        route
            .raw(&rtmsg(libc::RT_TABLE_MAIN, libc::RTN_UNICAST))
            .bytes(libc::RTA_GATEWAY, &gateway.octets())
            .u32(libc::RTA_OIF, address.device);
        let up = set_up_without_link_local(address.device);
        match self.0.request(&mut [add_address(address), up, route.clone()]) {
            // IPv6 is absent, or the MTU too small for it: the device stayed down, and so there was no way to the gateway.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {
                self.0.request(&mut [set_up(address.device), route])
            }
            done => done,
        }
    }
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
