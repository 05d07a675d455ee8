//! The host ports that are published, each held by a socket of the daemon.
//!
//! The firewall takes packets away before they reach the socket; it is there so that no other program can have the
//! port, and so that `ss -ltn` shows who has it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use crate::{HostPort, Protocol};

const RELEASED_KEPT: usize = 64;
const RELEASED_LATELY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_millis(30);

/// Published host ports and their sockets.
#[derive(Debug)]
pub(crate) struct PortTable {
    /// A wildcard address conflicts with every other, so the addresses of one port are kept together.
    taken: HashMap<(Protocol, u16), Vec<Held>>,
    /// The machine's ephemeral range, inclusive.
    ephemeral: (u16, u16),
    /// Where the search for a random port goes on.
    next: u16,
    /// What was given back last, latest first.
    released: VecDeque<(Protocol, u16, Instant)>,
}

#[derive(Debug)]
struct Held {
    address: Ipv4Addr,
    /// `None` when the port could not be bound again after a restart, and for SCTP.
    _socket: Option<OwnedFd>,
}

/// Why a port was not given.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Another container of this daemon has it.
    Allocated(u16),
    /// The kernel refused it.
    Bind(u16, io::Error),
    /// Nothing free in the range that begins here.
    Exhausted(u16),
}

impl PortTable {
    pub(crate) fn new(ephemeral: (u16, u16)) -> Self {
        Self { taken: HashMap::new(), ephemeral, next: ephemeral.0, released: VecDeque::new() }
    }

    /// Takes a port and returns its number.
    pub(crate) fn reserve(&mut self, protocol: Protocol, address: Ipv4Addr, wanted: HostPort) -> Result<u16, Refusal> {
        match wanted {
            HostPort::Fixed(port) => self.hold(protocol, address, port),
            HostPort::Range(first, last) => self.first_free(protocol, address, first..=last, first),
            HostPort::Random => {
                let (first, last) = self.ephemeral;
                let start = self.next.clamp(first, last);
                let port = self.first_free(protocol, address, (start..=last).chain(first..start), first)?;
                self.next = if port == last { first } else { port + 1 };
                Ok(port)
            }
        }
    }

    /// Takes a port that a container had before the daemon restarted. It stays the container's even when the socket
    /// cannot be bound again: the firewall still sends its packets there.
    pub(crate) fn restore(&mut self, protocol: Protocol, address: Ipv4Addr, port: u16) -> io::Result<()> {
        let bound = bind(protocol, address, port);
        let (socket, result) = match bound {
            Ok(socket) => (socket, Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.taken.entry((protocol, port)).or_default().push(Held { address, _socket: socket });
        result
    }

    /// Gives a port back.
    pub(crate) fn release(&mut self, protocol: Protocol, address: Ipv4Addr, port: u16) {
        if let Some(held) = self.taken.get_mut(&(protocol, port)) {
            held.retain(|held| held.address != address);
            if held.is_empty() {
                self.taken.remove(&(protocol, port));
            }
            self.released.truncate(RELEASED_KEPT - 1);
            self.released.push_front((protocol, port, Instant::now()));
        }
    }

    fn first_free(
        &mut self,
        protocol: Protocol,
        address: Ipv4Addr,
        ports: impl Iterator<Item = u16>,
        first: u16,
    ) -> Result<u16, Refusal> {
        for port in ports {
            match self.hold(protocol, address, port) {
                Ok(port) => return Ok(port),
                Err(Refusal::Bind(_, error)) if error.kind() != io::ErrorKind::AddrInUse => {
                    return Err(Refusal::Bind(port, error));
                }
                Err(_) => {}
            }
        }
        Err(Refusal::Exhausted(first))
    }

    fn hold(&mut self, protocol: Protocol, address: Ipv4Addr, port: u16) -> Result<u16, Refusal> {
        let conflicts =
            |held: &Held| held.address == address || held.address.is_unspecified() || address.is_unspecified();
        if self.taken.get(&(protocol, port)).is_some_and(|held| held.iter().any(conflicts)) {
            return Err(Refusal::Allocated(port));
        }
        let socket = self.bind_patiently(protocol, address, port).map_err(|error| Refusal::Bind(port, error))?;
        self.taken.entry((protocol, port)).or_default().push(Held { address, _socket: socket });
        Ok(port)
    }

    /// A process that is being started at this moment has copies of all descriptors until it executes its program, so
    /// a port that was given back just now may look taken for a moment.
    fn bind_patiently(&self, protocol: Protocol, address: Ipv4Addr, port: u16) -> io::Result<Option<OwnedFd>> {
        let ours =
            |&(p, n, at): &(Protocol, u16, Instant)| p == protocol && n == port && at.elapsed() < RELEASED_LATELY;
        let lately = self.released.iter().any(ours);
        let end = Instant::now() + PATIENCE;
        loop {
            match bind(protocol, address, port) {
                Err(error) if lately && error.kind() == io::ErrorKind::AddrInUse && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                bound => return bound,
            }
        }
    }
}

/// Binds the port; SCTP, which many kernels lack, is only counted.
fn bind(protocol: Protocol, address: Ipv4Addr, port: u16) -> io::Result<Option<OwnedFd>> {
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => return Ok(None),
    };
    let socket = rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, Some(number))?;
    if protocol == Protocol::Tcp {
        // Connections of the last minute must not keep the port; another listener still does.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &SocketAddrV4::new(address, port))?;
    if protocol == Protocol::Tcp {
        rustix::net::listen(&socket, 1)?;
    }
    Ok(Some(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;

    #[test]
    fn a_port_is_given_once_and_again_after_its_release() {
        let mut table = PortTable::new((42_000, 42_999));
        let port = table.reserve(Protocol::Tcp, LOCAL, HostPort::Random).expect("a free port");
        assert!((42_000..=42_999).contains(&port));
        let again = table.reserve(Protocol::Tcp, LOCAL, HostPort::Fixed(port));
        assert!(matches!(again, Err(Refusal::Allocated(_))));
        let wildcard = table.reserve(Protocol::Tcp, Ipv4Addr::UNSPECIFIED, HostPort::Fixed(port));
        assert!(matches!(wildcard, Err(Refusal::Allocated(_))));
        assert!(table.reserve(Protocol::Udp, LOCAL, HostPort::Fixed(port)).is_ok());
        table.release(Protocol::Tcp, LOCAL, port);
        assert!(table.reserve(Protocol::Tcp, LOCAL, HostPort::Fixed(port)).is_ok());
    }

    #[test]
    fn a_foreign_listener_is_told_from_our_own() {
        let foreign = std::net::TcpListener::bind((LOCAL, 0)).expect("listener");
        let port = foreign.local_addr().expect("address").port();
        let mut table = PortTable::new((42_000, 42_999));
        let refused = table.reserve(Protocol::Tcp, LOCAL, HostPort::Fixed(port));
        assert!(matches!(refused, Err(Refusal::Bind(_, error)) if error.kind() == io::ErrorKind::AddrInUse));
        let range = table.reserve(Protocol::Tcp, LOCAL, HostPort::Range(port, port));
        assert!(matches!(range, Err(Refusal::Exhausted(_))));
    }

    #[test]
    fn random_ports_are_not_repeated_at_once() {
        let mut table = PortTable::new((43_000, 43_999));
        let first = table.reserve(Protocol::Udp, LOCAL, HostPort::Random).expect("a free port");
        table.release(Protocol::Udp, LOCAL, first);
        let second = table.reserve(Protocol::Udp, LOCAL, HostPort::Random).expect("a free port");
        assert_ne!(first, second);
    }
}
