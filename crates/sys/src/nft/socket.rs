//! Sending batches and reading chains.

use std::io;

use super::batch::{Batch, SUBSYSTEM};
use super::family::Family;
use crate::netlink::{Message, Protocol, Reply, Socket, attributes};

/// Bytes of `struct nfgenmsg`.
const NFGENMSG: usize = 4;
const CHAIN_POLICY: u16 = 5;

/// A netfilter socket of one network namespace.
#[derive(Debug)]
pub struct NftSocket(pub(super) Socket);

impl NftSocket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        Socket::open(Protocol::Netfilter).map(Self)
    }

    /// The port that the kernel knows this socket by: events that its batches make carry it.
    pub fn port(&self) -> io::Result<u32> {
        self.0.port()
    }

    /// Runs a batch; an empty one is a success. Nothing has changed when it fails.
    pub fn send(&mut self, batch: Batch<'_>) -> io::Result<()> {
        if batch.is_empty() { Ok(()) } else { self.0.transaction(&mut batch.finish()) }
    }

    /// Whether a base chain drops what reaches its end; `None` when there is no such chain.
    pub fn chain_drops(&mut self, family: Family, table: &str, chain: &str) -> io::Result<Option<bool>> {
        let mut message = message(libc::NFT_MSG_GETCHAIN, family);
        message.text(1, table).text(3, chain);
        match self.0.query(message) {
            Ok(reply) => Ok(Some(payload(&reply, CHAIN_POLICY) == Some((libc::NF_DROP as u32).to_be_bytes().to_vec()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn message(kind: i32, family: Family) -> Message {
    let mut message = Message::new(SUBSYSTEM | kind as u16, 0);
    message.raw(&[family.number(), 0, 0, 0]);
    message
}

fn payload(reply: &Reply, kind: u16) -> Option<Vec<u8>> {
    let body = reply.body.get(NFGENMSG..)?;
    attributes(body).find(|attribute| attribute.kind == kind).map(|attribute| attribute.payload.to_vec())
}
