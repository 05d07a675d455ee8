//! The daemons' connections: the one that started the container and those that came by `control.sock`.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::event::epoll::EventFlags;
use sys::seqpacket::{SeqPacket, SeqPacketListener};

use crate::poller::{Poller, Token};
use crate::protocol::{self, Packet, ProtocolError, Reply, Request};

/// A daemon that leaves so many messages unread is stuck: its connection is closed and it may come again.
const QUEUE: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Connections {
    list: Vec<Connection>,
    next: u32,
    /// Room for one packet; given back when nothing is read.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Connection {
    id: u32,
    socket: SeqPacket,
    subscribed: bool,
    queue: VecDeque<(Packet, Option<OwnedFd>)>,
}

/// What a connection had to say.
#[derive(Debug)]
pub(crate) enum Heard {
    Request(Box<Request>, Vec<OwnedFd>),
    /// A packet that is no request.
    Nonsense(String),
    Nothing,
    Closed,
}

// === impl Connections ===

impl Connections {
    pub(crate) fn add(&mut self, socket: SeqPacket, subscribed: bool, poller: &Poller) -> io::Result<u32> {
        socket.set_nonblocking(true)?;
        let id = self.next;
        poller.add(&socket, Token::Connection(id), EventFlags::IN)?;
        self.next = self.next.wrapping_add(1);
        self.list.push(Connection { id, socket, subscribed, queue: VecDeque::new() });
        Ok(id)
    }

    pub(crate) fn accept_all(&mut self, listener: &SeqPacketListener, poller: &Poller) {
        while let Ok(socket) = listener.accept() {
            // A connection that cannot be watched is closed: the daemon sees that.
            let _ = self.add(socket, false, poller);
        }
    }

    pub(crate) fn subscribe(&mut self, id: u32) {
        if let Some(connection) = self.list.iter_mut().find(|connection| connection.id == id) {
            connection.subscribed = true;
        }
    }

    pub(crate) fn hear(&mut self, id: u32) -> Heard {
        let Some(connection) = self.list.iter().find(|connection| connection.id == id) else { return Heard::Nothing };
        match protocol::receive::<Request>(&connection.socket, &mut self.buffer) {
            Ok((request, fds)) => Heard::Request(Box::new(request), fds),
            Err(ProtocolError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
            Err(ProtocolError::Malformed(error)) => Heard::Nonsense(error.to_string()),
            Err(error @ ProtocolError::Size(_)) => Heard::Nonsense(error.to_string()),
            Err(_) => Heard::Closed,
        }
    }

    /// Gives back the packet buffer; after a round of hearing.
    pub(crate) fn rest(&mut self) {
        self.buffer = Vec::new();
    }

    pub(crate) fn close(&mut self, id: u32, poller: &Poller) {
        if let Some(index) = self.list.iter().position(|connection| connection.id == id) {
            poller.remove(&self.list[index].socket);
            self.list.swap_remove(index);
        }
    }

    /// Sends to one connection; nothing happens when it is gone.
    pub(crate) fn send(&mut self, id: u32, reply: &Reply, fd: Option<OwnedFd>, poller: &Poller) {
        let Some(connection) = self.list.iter_mut().find(|connection| connection.id == id) else { return };
        let Ok(packet) = Packet::new(reply) else { return };
        connection.queue.push_back((packet, fd));
        if connection.queue.len() > QUEUE || connection.flush().is_err() {
            self.close(id, poller);
        } else {
            connection.watch(poller);
        }
    }

    /// Sends an event to every subscriber, and to one more connection.
    pub(crate) fn announce(&mut self, event: &Reply, also: Option<u32>, poller: &Poller) {
        let to: Vec<u32> = self
            .list
            .iter()
            .filter(|connection| connection.subscribed || also == Some(connection.id))
            .map(|connection| connection.id)
            .collect();
        for id in to {
            self.send(id, event, None, poller);
        }
    }

    /// The socket takes packets again.
    pub(crate) fn writable(&mut self, id: u32, poller: &Poller) {
        let Some(connection) = self.list.iter_mut().find(|connection| connection.id == id) else { return };
        if connection.flush().is_err() {
            self.close(id, poller);
        } else {
            connection.watch(poller);
        }
    }

    /// Whether every message has been handed over.
    pub(crate) fn all_sent(&self) -> bool {
        self.list.iter().all(|connection| connection.queue.is_empty())
    }
}

// === impl Connection ===

impl Connection {
    fn flush(&mut self) -> io::Result<()> {
        while let Some((packet, fd)) = self.queue.front() {
            let fds: Vec<_> = fd.iter().map(|fd| fd.as_fd()).collect();
            match packet.send(&self.socket, &fds) {
                Ok(()) => drop(self.queue.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn watch(&self, poller: &Poller) {
        let mut interest = EventFlags::IN;
        interest.set(EventFlags::OUT, !self.queue.is_empty());
        let _ = poller.change(&self.socket, Token::Connection(self.id), interest);
    }
}
