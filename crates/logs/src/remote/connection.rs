//! A socket to a collector: connected at the start, made again when it was lost.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::error::Error;
use crate::plan::{Address, Retry};

/// How long a start waits for a collector to answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Connection {
    addresses: Vec<Address>,
    retry: Retry,
    /// Of `addresses`, the one in use or tried next.
    at: usize,
    state: State,
    /// Failed tries in a row.
    failures: u32,
    /// Grows with every new socket.
    generation: u32,
    /// Bytes of the first message that were sent already; streams only.
    sent: usize,
    /// It took less than it was given.
    full: bool,
}

#[derive(Debug)]
enum State {
    Up(OwnedFd),
    Connecting(OwnedFd),
    Down(Instant),
}

/// What a poller should watch.
#[derive(Clone, Copy, Debug)]
pub struct Interest<'a> {
    /// The socket; its end is always of interest.
    pub fd: BorrowedFd<'a>,
    /// Also when it takes more.
    pub write: bool,
    /// Another number means another socket.
    pub generation: u32,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is gone: delivered, or impossible to deliver.
    Whole,
    /// To be sent again later.
    NotNow,
}

// === impl Connection ===

impl Connection {
    /// Connects. Only a `lazy` connection may fail at first.
    pub(crate) fn open(addresses: Vec<Address>, retry: Retry, lazy: bool) -> Result<Self, Error> {
        let state = State::Down(Instant::now());
        let mut connection = Self { addresses, retry, at: 0, state, failures: 0, generation: 0, sent: 0, full: false };
        if lazy {
            return Ok(connection);
        }
        let mut failure = Errno::ADDRNOTAVAIL.into();
        for at in 0..connection.addresses.len() {
            match connect_waiting(&connection.addresses[at]) {
                Ok(fd) => {
                    connection.at = at;
                    connection.came_up(fd);
                    return Ok(connection);
                }
                Err(error) => failure = error,
            }
        }
        let address = connection.addresses.pop().map_or_else(String::new, |address| address.to_string());
        Err(Error::Connect { address, cause: failure })
    }

    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.addresses.first(), Some(Address::Tcp(_) | Address::Unix(_)))
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Tries again to connect when it is time. True when it was tried so often that what waits is to be dropped.
    pub(crate) fn revive(&mut self, now: Instant) -> bool {
        let State::Down(again) = self.state else { return false };
        if again > now {
            return false;
        }
        if self.retry.limit.is_some_and(|limit| self.failures > limit) {
            self.failures = 0;
            self.state = State::Down(now + Duration::from_millis(self.retry.longest));
            return true;
        }
        match begin(&self.addresses[self.at]) {
            Ok((fd, done)) => {
                self.generation = self.generation.wrapping_add(1);
                if done {
                    self.came_up(fd);
                } else {
                    self.state = State::Connecting(fd);
                }
            }
            Err(_) => self.went_down(now),
        }
        false
    }

    /// Something happened to the socket.
    pub(crate) fn ready(&mut self, now: Instant) {
        let state = std::mem::replace(&mut self.state, State::Down(now));
        match state {
            State::Connecting(fd) => match rustix::net::sockopt::socket_error(&fd) {
                Ok(Ok(())) => self.came_up(fd),
                _ => self.went_down(now),
            },
            State::Up(fd) => {
                self.full = false;
                // A collector has nothing to say: only the end is of interest.
                let mut bytes = [0; 512];
                let heard = rustix::net::recv(&fd, &mut bytes, rustix::net::RecvFlags::DONTWAIT);
                self.state = State::Up(fd);
                match heard {
                    Ok((0, _)) if self.is_stream() => self.went_down(now),
                    Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
                    // An earlier datagram was refused.
                    Err(_) if !self.is_stream() => {}
                    Err(_) => self.went_down(now),
                }
            }
            State::Down(again) => self.state = State::Down(again),
        }
    }

    /// Sends the first message of the queue, or what is left of it.
    pub(crate) fn send(&mut self, message: &[u8], now: Instant) -> Sent {
        let State::Up(fd) = &self.state else { return Sent::NotNow };
        let mut refused = false;
        loop {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(fd, &message[self.sent.min(message.len())..], flags) {
                Ok(length) => {
                    self.sent += length;
                    if !self.is_stream() || self.sent >= message.len() {
                        self.sent = 0;
                        return Sent::Whole;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS) => {
                    self.full = true;
                    return Sent::NotNow;
                }
                // The answer to an earlier datagram; this one was not sent.
                Err(Errno::CONNREFUSED) if matches!(self.addresses[self.at], Address::Udp(_)) && !refused => {
                    refused = true;
                }
                Err(_) if matches!(self.addresses[self.at], Address::Udp(_)) => return Sent::Whole,
                Err(Errno::MSGSIZE) => return Sent::Whole,
                Err(_) => {
                    self.went_down(now);
                    return Sent::NotNow;
                }
            }
        }
    }

    /// Nothing is left to send.
    pub(crate) fn rest(&mut self) {
        self.full = false;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Down(again) => Some(*again),
            _ => None,
        }
    }

    pub(crate) fn interest(&self) -> Option<Interest<'_>> {
        let (fd, write) = match &self.state {
            State::Up(fd) => (fd.as_fd(), self.full),
            State::Connecting(fd) => (fd.as_fd(), true),
            State::Down(_) => return None,
        };
        Some(Interest { fd, write, generation: self.generation })
    }

    fn came_up(&mut self, fd: OwnedFd) {
        (self.state, self.failures, self.full) = (State::Up(fd), 0, false);
    }

    /// A message that was sent in part is sent anew on the next connection.
    fn went_down(&mut self, now: Instant) {
        let factor = 1.5_f64.powi(self.failures.min(30) as i32);
        let wait = (self.retry.first as f64 * factor).min(self.retry.longest as f64);
        self.failures = self.failures.saturating_add(1);
        self.at = (self.at + 1) % self.addresses.len().max(1);
        (self.sent, self.full) = (0, false);
        self.state = State::Down(now + Duration::from_millis(wait as u64));
    }
}

/// Connects and waits for it, for the container's start.
fn connect_waiting(address: &Address) -> io::Result<OwnedFd> {
    let (fd, done) = begin(address)?;
    if done {
        return Ok(fd);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::OUT)];
        let timeout = rustix::event::Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => {
                rustix::net::sockopt::socket_error(&fd)??;
                return Ok(fd);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Begins to connect; true when that is all.
fn begin(address: &Address) -> io::Result<(OwnedFd, bool)> {
    let family = match address {
        Address::Udp(address) | Address::Tcp(address) if address.is_ipv6() => AddressFamily::INET6,
        Address::Udp(_) | Address::Tcp(_) => AddressFamily::INET,
        Address::Unix(_) | Address::UnixDatagram(_) => AddressFamily::UNIX,
    };
    let kind = match address {
        Address::Udp(_) | Address::UnixDatagram(_) => SocketType::DGRAM,
        Address::Tcp(_) | Address::Unix(_) => SocketType::STREAM,
    };
    let fd = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    let connected = match address {
        Address::Udp(address) | Address::Tcp(address) => rustix::net::connect(&fd, address),
        Address::Unix(path) | Address::UnixDatagram(path) => {
            rustix::net::connect(&fd, &SocketAddrUnix::new(path.as_path())?)
        }
    };
    match connected {
        Ok(()) => Ok((fd, true)),
        Err(Errno::INPROGRESS) => Ok((fd, false)),
        Err(errno) => Err(errno.into()),
    }
}

impl std::fmt::Display for Address {
    /// As Go names what it dials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp {address}"),
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::Unix(path) => write!(f, "unix {}", path.display()),
            Self::UnixDatagram(path) => write!(f, "unixgram {}", path.display()),
        }
    }
}
