//! Routes, and the socket that speaks of links, addresses and routes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::{Address, add_address, family, ip_address, octets};
use super::link::{set_up, set_up_without_link_local};
use super::message::{Message, attributes};
use super::socket::{Protocol, Socket};

const RTMSG: usize = 12;

/// A routing socket of one network namespace.
#[derive(Debug)]
pub struct RouteSocket(pub(super) Socket);

/// A unicast route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Destination; 0.0.0.0/0 and ::/0 are the default routes.
    pub destination: IpAddr,
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

    /// The unicast routes of the main table, of both families.
    pub fn routes(&mut self) -> io::Result<Vec<Route>> {
        let mut message = Message::new(libc::RTM_GETROUTE, 0);
        message.raw(&rtmsg(libc::AF_UNSPEC as u8, 0, 0));
        let mut routes = Vec::new();
        for reply in self.0.dump(message)? {
            let Some((header, rest)) = reply.body.split_first_chunk::<RTMSG>() else { continue };
            if header[4] != libc::RT_TABLE_MAIN || header[7] != libc::RTN_UNICAST {
                continue;
            }
            let destination = match i32::from(header[0]) {
                libc::AF_INET => Ipv4Addr::UNSPECIFIED.into(),
                libc::AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
                _ => continue,
            };
            let mut route = Route { destination, prefix: header[1], device: 0, metric: 0 };
            for attribute in attributes(rest) {
                match attribute.kind {
                    libc::RTA_DST => route.destination = ip_address(attribute.payload).unwrap_or(destination),
                    libc::RTA_OIF => route.device = attribute.u32().unwrap_or_default(),
                    libc::RTA_PRIORITY => route.metric = attribute.u32().unwrap_or_default(),
                    _ => {}
                }
            }
            routes.push(route);
        }
        Ok(routes)
    }

    /// Gives a device its addresses, brings it up, and makes the gateways behind it the default routes. Without an IPv6
    /// address the kernel is kept from making one up.
    pub fn configure(&mut self, device: u32, addresses: &[(IpAddr, u8)], gateways: &[IpAddr]) -> io::Result<()> {
        let add = |&(address, prefix): &(IpAddr, u8)| add_address(Address { device, address, prefix });
        let routes = gateways.iter().map(|gateway| default_route(libc::RTM_NEWROUTE, *gateway, device));
        let routes: Vec<Message> = routes.collect();
        let (ipv4, ipv6): (Vec<_>, Vec<_>) = addresses.iter().partition(|(address, _)| address.is_ipv4());
        let mut messages: Vec<Message> = ipv4.into_iter().map(add).collect();
        if ipv6.is_empty() {
            messages.push(set_up_without_link_local(device));
            messages.extend(routes.iter().cloned());
            return match self.0.request(&mut messages) {
                // IPv6 is absent, or the MTU too small for it: the device stayed down, and there was no way to the gateway.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {
                    let mut again = vec![set_up(device)];
                    again.extend(routes);
                    self.0.request(&mut again)
                }
                done => done,
            };
        }
        messages.push(set_up(device));
        messages.extend(ipv6.into_iter().map(add));
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
    route.raw(&rtmsg(family(gateway), libc::RT_TABLE_MAIN, libc::RTN_UNICAST));
    route.bytes(libc::RTA_GATEWAY, &octets(gateway)).u32(libc::RTA_OIF, device);
    route
}

/// `struct rtmsg` for a destination of length 0: family, lengths, tos, table, protocol, scope, type, flags.
fn rtmsg(family: u8, table: u8, kind: u8) -> [u8; RTMSG] {
    let mut bytes = [0; RTMSG];
    bytes[0] = family;
    bytes[4] = table;
    bytes[5] = libc::RTPROT_BOOT;
    bytes[6] = libc::RT_SCOPE_UNIVERSE;
    bytes[7] = kind;
    bytes
}
