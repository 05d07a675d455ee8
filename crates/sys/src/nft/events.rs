//! What others do to the firewall, told by the kernel when it is done.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

use super::family::Family;
use super::ruleset::NFGENMSG;
use crate::netlink::attributes;

/// `NFNLGRP_NFTABLES`, as a bit.
const GROUP: u32 = 1 << (libc::NFNLGRP_NFTABLES - 1);
const HEADER: usize = 16;
const BUFFER: usize = 16 << 10;

/// A subscription to all changes of the firewall in one network namespace.
#[derive(Debug)]
pub struct NftEvents {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

/// Something that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftEvent {
    /// Taken away, not made or changed.
    pub deleted: bool,
    /// What.
    pub what: NftObject,
    /// Family of the table.
    pub family: Family,
    /// Name of the table.
    pub table: String,
    /// Port of the socket that asked for it, see [`super::NftSocket::port`].
    pub by: u32,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NftObject {
    /// A table.
    Table,
    /// A chain.
    Chain,
    /// A rule.
    Rule,
    /// A set or a map.
    Set,
    /// An element of a set or a map.
    Element,
}

/// What a look at the subscription found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing more for now.
    Nothing,
    /// These, in order.
    Events(Vec<NftEvent>),
    /// Some were lost: there were more than the kernel keeps.
    Lost,
}

impl NftEvents {
    /// Subscribes in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let protocol = Some(netlink::NETFILTER);
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, GROUP))?;
        Ok(Self { fd, buffer: vec![0; BUFFER] })
    }

    /// Takes what has come, without waiting.
    pub fn hear(&mut self) -> io::Result<Heard> {
        match rustix::io::retry_on_intr(|| rustix::net::recv(&self.fd, &mut self.buffer[..], RecvFlags::empty())) {
            Ok((length, _)) => Ok(Heard::Events(events(&self.buffer[..length.min(BUFFER)]))),
            Err(rustix::io::Errno::AGAIN) => Ok(Heard::Nothing),
            Err(rustix::io::Errno::NOBUFS) => Ok(Heard::Lost),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for NftEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn events(datagram: &[u8]) -> Vec<NftEvent> {
    let mut events = Vec::new();
    let mut rest = datagram;
    while let Some(header) = rest.first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(body) = rest.get(HEADER..length) else { break };
        let by = u32::from_ne_bytes([header[12], header[13], header[14], header[15]]);
        events.extend(event(u16::from_ne_bytes([header[4], header[5]]), body, by));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    events
}

fn event(kind: u16, body: &[u8], by: u32) -> Option<NftEvent> {
    let (what, deleted) = match i32::from(kind & 0xff) {
        libc::NFT_MSG_NEWTABLE => (NftObject::Table, false),
        libc::NFT_MSG_DELTABLE => (NftObject::Table, true),
        libc::NFT_MSG_NEWCHAIN => (NftObject::Chain, false),
        libc::NFT_MSG_DELCHAIN => (NftObject::Chain, true),
        libc::NFT_MSG_NEWRULE => (NftObject::Rule, false),
        libc::NFT_MSG_DELRULE => (NftObject::Rule, true),
        libc::NFT_MSG_NEWSET => (NftObject::Set, false),
        libc::NFT_MSG_DELSET => (NftObject::Set, true),
        libc::NFT_MSG_NEWSETELEM => (NftObject::Element, false),
        libc::NFT_MSG_DELSETELEM => (NftObject::Element, true),
        _ => return None,
    };
    let family = Family::from_number(*body.first()?)?;
    // The table's name is the first attribute of all of them.
    let table = attributes(body.get(NFGENMSG..)?).find(|attribute| attribute.kind == 1)?.text();
    Some(NftEvent { deleted, what, family, table, by })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Message;

    #[test]
    fn an_event_names_its_table_and_its_maker() {
        let kind = (10 << 8) | libc::NFT_MSG_DELCHAIN as u16;
        let mut message = Message::new(kind, 0);
        message.raw(&[Family::Inet.number(), 0, 0, 0]).text(1, "gantry_br0").text(3, "forward");
        let bytes = message.finish(0, 7).to_vec();
        let [event] = &events(&[bytes.clone(), bytes[..12].to_vec()].concat())[..] else { panic!("one event") };
        assert_eq!((event.deleted, event.what, event.table.as_str()), (true, NftObject::Chain, "gantry_br0"));
        assert_eq!((event.family, event.by), (Family::Inet, 0));
    }
}
