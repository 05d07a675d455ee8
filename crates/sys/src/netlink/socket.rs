//! A synchronous netlink socket.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::message::{HEADER, Message};

/// The kernel's answers come at once; this bounds a lost one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Room for a whole firewall table in one batch.
const SEND_BUFFER: usize = 4 << 20;
/// The kernel fills a dump's datagrams up to 32 KiB.
const RECEIVE_BUFFER: usize = 32 << 10;

/// Whom to speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes.
    Route,
    /// nf_tables and connection tracking.
    Netfilter,
}

/// A netlink socket of the network namespace that the opening thread was in. It keeps that namespace alive.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

/// One received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// `nlmsg_type`.
    pub kind: u16,
    /// All after the header.
    pub body: Vec<u8>,
}

/// What one received message means for the request with a given sequence number.
enum Outcome {
    Data(Reply),
    Done,
    Acknowledged,
    Failed(io::Error),
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open(protocol: Protocol) -> io::Result<Self> {
        let protocol = match protocol {
            Protocol::Route => None,
            Protocol::Netfilter => Some(netlink::NETFILTER),
        };
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, 0))?;
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(ANSWER_TIMEOUT))?;
        // Without CAP_NET_ADMIN in the first user namespace the ordinary limit stands, which is enough but for huge tables.
        let _ = sockopt::set_socket_send_buffer_size_force(&fd, SEND_BUFFER);
        Ok(Self { fd, sequence: 0, buffer: Vec::new() })
    }

    /// The port that the kernel knows this socket by.
    pub(crate) fn port(&self) -> io::Result<u32> {
        let address = SocketAddrNetlink::try_from(rustix::net::getsockname(&self.fd)?)?;
        Ok(address.pid())
    }

    /// Sends requests in one datagram and waits for every acknowledgement. The kernel runs them in order and does not
    /// stop at a failure; the first one is returned.
    pub fn request(&mut self, messages: &mut [Message]) -> io::Result<()> {
        let first = self.send(messages, libc::NLM_F_ACK as u16)?;
        let last = first + messages.len() as u32 - 1;
        let mut failure = None;
        let mut waiting = messages.len();
        while waiting > 0 {
            self.receive(first, last, |_, outcome| {
                match outcome {
                    Outcome::Data(_) => return,
                    Outcome::Failed(error) => {
                        failure.get_or_insert(error);
                    }
                    Outcome::Done | Outcome::Acknowledged => {}
                }
                waiting = waiting.saturating_sub(1);
            })?;
        }
        failure.map_or(Ok(()), Err)
    }

    /// Sends one request and returns what the kernel says it made; `None` from kernels that do not say.
    pub fn request_echo(&mut self, message: Message) -> io::Result<Option<Reply>> {
        let sequence = self.send(&mut [message], (libc::NLM_F_ACK | libc::NLM_F_ECHO) as u16)?;
        let mut echo = None;
        let mut end = None;
        while end.is_none() {
            self.receive(sequence, sequence, |_, outcome| match outcome {
                Outcome::Data(reply) => echo = Some(reply),
                Outcome::Failed(error) => end = Some(Err(error)),
                Outcome::Done | Outcome::Acknowledged => end = Some(Ok(())),
            })?;
        }
        end.unwrap_or(Ok(())).map(|()| echo)
    }

    /// Sends one request and returns the one message that answers it.
    pub fn query(&mut self, message: Message) -> io::Result<Reply> {
        let sequence = self.send(&mut [message], 0)?;
        let mut answer = None;
        while answer.is_none() {
            self.receive(sequence, sequence, |_, outcome| match outcome {
                Outcome::Data(reply) => answer = Some(Ok(reply)),
                Outcome::Failed(error) => answer = Some(Err(error)),
                Outcome::Done | Outcome::Acknowledged => answer = Some(Err(io::ErrorKind::UnexpectedEof.into())),
            })?;
        }
        answer.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Sends a dump request and returns all its answers.
    pub fn dump(&mut self, message: Message) -> io::Result<Vec<Reply>> {
        let mut replies = Vec::new();
        self.dump_each(message, |reply| replies.push(reply))?;
        Ok(replies)
    }

    /// Sends a dump request and hands over its answers one by one, for tables that may be large.
    pub fn dump_each(&mut self, message: Message, mut hear: impl FnMut(Reply)) -> io::Result<()> {
        let sequence = self.send(&mut [message], libc::NLM_F_DUMP as u16)?;
        let mut end = None;
        while end.is_none() {
            self.receive(sequence, sequence, |_, outcome| match outcome {
                Outcome::Data(reply) => hear(reply),
                Outcome::Failed(error) => end = Some(Err(error)),
                Outcome::Done | Outcome::Acknowledged => end = Some(Ok(())),
            })?;
        }
        end.unwrap_or(Ok(()))
    }

    /// Sends messages as one nf_tables transaction. Only the last but one (the last before the end of the batch) asks
    /// for an acknowledgement: the kernel reports failures in order, and that one after them.
    pub(crate) fn transaction(&mut self, messages: &mut [Message]) -> io::Result<()> {
        let first = self.send(messages, 0)?;
        let end = first + messages.len() as u32 - 1;
        let mut result = None;
        while result.is_none() {
            self.receive(first, end, |sequence, outcome| match outcome {
                Outcome::Failed(error) => {
                    result.get_or_insert(Err(error));
                }
                Outcome::Acknowledged if sequence + 1 == end => {
                    result.get_or_insert(Ok(()));
                }
                _ => {}
            })?;
        }
        result.unwrap_or(Ok(()))
    }

    /// Sends the messages with consecutive sequence numbers and returns the first.
    fn send(&mut self, messages: &mut [Message], flags: u16) -> io::Result<u32> {
        // Zero is the kernel's number for messages that answer nothing.
        if self.sequence > u32::MAX / 2 {
            self.sequence = 0;
        }
        let first = self.sequence + 1;
        let mut datagram = Vec::with_capacity(messages.iter().map(Message::size).sum());
        for message in messages {
            self.sequence += 1;
            datagram.extend_from_slice(message.finish(flags, self.sequence));
        }
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::io::retry_on_intr(|| rustix::net::sendto(&self.fd, &datagram, SendFlags::empty(), &kernel))?;
        Ok(first)
    }

    /// Receives one datagram and hands over the messages in it that answer `first..=last`; older ones are left-overs
    /// of a request that failed.
    fn receive(&mut self, first: u32, last: u32, mut hear: impl FnMut(u32, Outcome)) -> io::Result<()> {
        self.buffer.resize(RECEIVE_BUFFER, 0);
        let (length, _) =
            rustix::io::retry_on_intr(|| rustix::net::recv(&self.fd, &mut self.buffer[..], RecvFlags::empty()))?;
        let mut rest = &self.buffer[..length];
        while let Some(header) = rest.first_chunk::<HEADER>() {
            let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
            // A refusal repeats the request, which may be longer than the buffer; what counts comes first.
            let Some(body) = rest.get(HEADER..length.min(rest.len())) else { break };
            let sequence = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
            if (first..=last).contains(&sequence) {
                hear(sequence, outcome(u16::from_ne_bytes([header[4], header[5]]), body));
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        }
        Ok(())
    }
}

fn outcome(kind: u16, body: &[u8]) -> Outcome {
    match i32::from(kind) {
        libc::NLMSG_ERROR => {
            let code = body.first_chunk().map_or(-libc::EBADMSG, |code| i32::from_ne_bytes(*code));
            if code == 0 { Outcome::Acknowledged } else { Outcome::Failed(io::Error::from_raw_os_error(-code)) }
        }
        // A dump that failed half-way says so in its last message.
        libc::NLMSG_DONE => match body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code)) {
            0 => Outcome::Done,
            code => Outcome::Failed(io::Error::from_raw_os_error(code.saturating_neg())),
        },
        _ => Outcome::Data(Reply { kind, body: body.to_vec() }),
    }
}
