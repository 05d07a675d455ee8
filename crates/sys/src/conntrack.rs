//! The kernel's table of tracked connections.
//!
//! Source: `linux/netfilter/nfnetlink_conntrack.h`.

use std::io;
use std::net::IpAddr;

use crate::netlink::{Attribute, Message, Protocol, Reply, Socket, attributes, ip_address};

const SUBSYSTEM: u16 = (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8;
const MESSAGE_GET: u16 = 1;
const MESSAGE_DELETE: u16 = 2;
const NFGENMSG: usize = 4;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ZONE: u16 = 18;

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// Number of the transport protocol.
    pub protocol: u8,
    /// Source address.
    pub source: IpAddr,
    /// Source port; 0 for protocols without.
    pub source_port: u16,
    /// Destination address.
    pub destination: IpAddr,
    /// Destination port; 0 for protocols without.
    pub destination_port: u16,
}

/// A conntrack socket of one network namespace.
#[derive(Debug)]
pub struct ConntrackSocket(Socket);

impl ConntrackSocket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        Socket::open(Protocol::Netfilter).map(Self)
    }

    /// Forgets the connections whose original and reply direction `chosen` says yes to; returns how many. One that
    /// ends by itself meanwhile is fine.
    pub fn forget(&mut self, chosen: impl Fn(Tuple, Tuple) -> bool) -> io::Result<usize> {
        let mut deletions = Vec::new();
        self.0.dump_each(message(MESSAGE_GET, libc::AF_UNSPEC as u8), |reply| {
            deletions.extend(deletion(&reply, &chosen))
        })?;
        let mut forgotten = 0;
        for deletion in deletions {
            match self.0.request(&mut [deletion]) {
                Ok(()) => forgotten += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(forgotten)
    }
}

/// The request that deletes the connection of a dump's answer, when it is chosen.
fn deletion(reply: &Reply, chosen: impl Fn(Tuple, Tuple) -> bool) -> Option<Message> {
    let (&[family, ..], body) = reply.body.split_first_chunk::<NFGENMSG>()?;
    let find = |kind| attributes(body).find(|attribute| attribute.kind == kind);
    let original = find(TUPLE_ORIGINAL)?;
    if !chosen(tuple(original)?, tuple(find(TUPLE_REPLY)?)?) {
        return None;
    }
    let mut message = message(MESSAGE_DELETE, family);
    message.nest(TUPLE_ORIGINAL, |nest| {
        nest.raw(original.payload);
    });
    if let Some(zone) = find(ZONE) {
        message.bytes(ZONE, zone.payload);
    }
    Some(message)
}

/// `CTA_TUPLE_IP` 1 {source 1, destination 2, of IPv6 3 and 4}, `CTA_TUPLE_PROTO` 2 {number 1, source port 2, destination port 3}.
fn tuple(attribute: Attribute<'_>) -> Option<Tuple> {
    let find = |outer, inner| {
        let outer = attribute.nested().find(|part| part.kind == outer)?;
        outer.nested().find(|part| part.kind == inner).map(|part| part.payload)
    };
    let address = |kind: u16| ip_address(find(1, kind).or_else(|| find(1, kind + 2))?);
    let port = |kind| find(2, kind).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_be_bytes);
    Some(Tuple {
        protocol: *find(2, 1)?.first()?,
        source: address(1)?,
        source_port: port(2),
        destination: address(2)?,
        destination_port: port(3),
    })
}

fn message(kind: u16, family: u8) -> Message {
    let mut message = Message::new(SUBSYSTEM | kind, 0);
    message.raw(&[family, 0, 0, 0]);
    message
}
