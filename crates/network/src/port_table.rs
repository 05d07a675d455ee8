//! The host ports that are published, each held by a socket of the daemon.
//!
//! The firewall takes packets away before they reach the socket; it is there so that no other program can have the
//! port, so that `ss -ltn` shows who has it, and for the relay.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use crate::publish::{Published, Wanted};
use crate::relay::{Relay, Relayed};
use crate::{HostPort, Protocol};

const RELEASED_KEPT: usize = 64;
const RELEASED_LATELY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_millis(30);
/// Connections that wait to be relayed.
const BACKLOG: i32 = 128;

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
    /// Started with the first port that needs it.
    relay: Option<Relay>,
}

#[derive(Debug)]
struct Held {
    address: IpAddr,
    /// Who has it, for the message to the next who wants it.
    owner: String,
    /// `None` when the port could not be bound again after a restart, for SCTP, and when the relay has it.
    _socket: Option<OwnedFd>,
    relayed: Option<Relayed>,
}

/// Why a port was not given.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Another container of this daemon has it.
    Allocated { address: IpAddr, port: u16, holder: String },
    /// The kernel refused it.
    Bind(IpAddr, u16, io::Error),
    /// Nothing free in the range that begins here.
    Exhausted(IpAddr, u16),
    /// The relay could not be started.
    Relay(io::Error),
}

impl PortTable {
    pub(crate) fn new(ephemeral: (u16, u16)) -> Self {
        Self { taken: HashMap::new(), ephemeral, next: ephemeral.0, released: VecDeque::new(), relay: None }
    }

    /// Takes one port on all addresses that a request is for, or nothing; returns what is published.
    pub(crate) fn reserve(&mut self, owner: &str, wanted: &Wanted) -> Result<Vec<Published>, Refusal> {
        let on = &wanted.on;
        // On a routed network the containers have the ports.
        if !on.iter().any(takes_host_port) {
            return Ok(on.clone());
        }
        let port = match wanted.request.host_port {
            HostPort::Fixed(port) => self.hold_all(owner, on, port)?,
            HostPort::Range(first, last) => self.first_free(owner, on, first..=last, first)?,
            HostPort::Random => {
                let (first, last) = self.ephemeral;
                let start = self.next.clamp(first, last);
                let port = self.first_free(owner, on, (start..=last).chain(first..start), first)?;
                self.next = if port == last { first } else { port + 1 };
                port
            }
        };
        let numbered = |published: &Published| {
            let mut published = *published;
            published.binding.host_port = if takes_host_port(&published) { port } else { 0 };
            published
        };
        Ok(on.iter().map(numbered).collect())
    }

    /// Takes a port that a container had before the daemon restarted. It stays the container's even when the socket
    /// cannot be bound again: the firewall still sends its packets there.
    pub(crate) fn restore(&mut self, owner: &str, published: &Published) -> Result<(), Refusal> {
        if published.routed {
            return Ok(());
        }
        let (protocol, address, port) = key(published);
        let bound = bind(protocol, address, port).map_err(|error| Refusal::Bind(address, port, error));
        let held = bound.and_then(|socket| self.relayed(published, socket));
        let (socket, relayed, result) = match held {
            Ok((socket, relayed)) => (socket, relayed, Ok(())),
            Err(refusal) => (None, None, Err(refusal)),
        };
        let held = Held { address, owner: owner.to_owned(), _socket: socket, relayed };
        self.taken.entry((protocol, port)).or_default().push(held);
        result
    }

    /// Gives ports back.
    pub(crate) fn release<'a>(&mut self, published: impl IntoIterator<Item = &'a Published>) {
        let ended: Vec<Held> = published.into_iter().flat_map(|published| self.take_out(published)).collect();
        // All at once; then their ends are waited for.
        ended.iter().filter_map(|held| held.relayed.as_ref()).for_each(Relayed::end);
    }

    fn take_out(&mut self, published: &Published) -> Option<Held> {
        if published.routed {
            return None;
        }
        let (protocol, address, port) = key(published);
        let held = self.taken.get_mut(&(protocol, port))?;
        let at = held.iter().position(|held| held.address == address)?;
        let found = held.swap_remove(at);
        if held.is_empty() {
            self.taken.remove(&(protocol, port));
        }
        self.released.truncate(RELEASED_KEPT - 1);
        self.released.push_front((protocol, port, Instant::now()));
        Some(found)
    }

    fn first_free(
        &mut self,
        owner: &str,
        on: &[Published],
        ports: impl Iterator<Item = u16>,
        first: u16,
    ) -> Result<u16, Refusal> {
        let mut address = on[0].binding.host_ip;
        for port in ports {
            match self.hold_all(owner, on, port) {
                Ok(port) => return Ok(port),
                Err(Refusal::Bind(address, _, error)) if error.kind() != io::ErrorKind::AddrInUse => {
                    return Err(Refusal::Bind(address, port, error));
                }
                Err(Refusal::Allocated { address: taken, .. } | Refusal::Bind(taken, ..)) => address = taken,
                Err(other) => return Err(other),
            }
        }
        Err(Refusal::Exhausted(address, first))
    }

    /// The port on all addresses, or on none.
    fn hold_all(&mut self, owner: &str, on: &[Published], port: u16) -> Result<u16, Refusal> {
        for (at, published) in on.iter().enumerate().filter(|(_, published)| takes_host_port(published)) {
            let numbered = |published: &Published| {
                let mut published = *published;
                published.binding.host_port = port;
                published
            };
            if let Err(refusal) = self.hold(owner, &numbered(published)) {
                let before = on[..at].iter().filter(|published| takes_host_port(published)).map(numbered);
                let before: Vec<Published> = before.collect();
                self.release(&before);
                return Err(refusal);
            }
        }
        Ok(port)
    }

    fn hold(&mut self, owner: &str, published: &Published) -> Result<(), Refusal> {
        let (protocol, address, port) = key(published);
        let conflicts = |held: &&Held| {
            let same_family = held.address.is_ipv4() == address.is_ipv4();
            same_family && (held.address == address || held.address.is_unspecified() || address.is_unspecified())
        };
        let others = self.taken.get(&(protocol, port));
        if let Some(other) = others.and_then(|held| held.iter().find(conflicts)) {
            return Err(Refusal::Allocated { address, port, holder: other.owner.clone() });
        }
        let socket = self.bind_patiently(protocol, address, port);
        let socket = socket.map_err(|error| Refusal::Bind(address, port, error))?;
        let (socket, relayed) = self.relayed(published, socket)?;
        let held = Held { address, owner: owner.to_owned(), _socket: socket, relayed };
        self.taken.entry((protocol, port)).or_default().push(held);
        Ok(())
    }

    /// Hands the socket to the relay, where it is to carry.
    fn relayed(
        &mut self,
        published: &Published,
        socket: Option<OwnedFd>,
    ) -> Result<(Option<OwnedFd>, Option<Relayed>), Refusal> {
        let Some(socket) = socket else { return Ok((None, None)) };
        if !published.relay {
            return Ok((Some(socket), None));
        }
        let relay = match &mut self.relay {
            Some(relay) => relay,
            empty => empty.insert(Relay::start().map_err(Refusal::Relay)?),
        };
        let target = SocketAddr::new(published.container, published.binding.container_port);
        let relayed = relay.serve(published.binding.protocol, socket, target).map_err(Refusal::Relay)?;
        Ok((None, Some(relayed)))
    }

    /// A process that is being started at this moment has copies of all descriptors until it executes its program, so
    /// a port that was given back just now may look taken for a moment.
    fn bind_patiently(&self, protocol: Protocol, address: IpAddr, port: u16) -> io::Result<Option<OwnedFd>> {
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

fn key(published: &Published) -> (Protocol, IpAddr, u16) {
    (published.binding.protocol, published.binding.host_ip, published.binding.host_port)
}

fn takes_host_port(published: &Published) -> bool {
    !published.routed
}

/// Binds the port; SCTP, which many kernels lack, is only counted.
fn bind(protocol: Protocol, address: IpAddr, port: u16) -> io::Result<Option<OwnedFd>> {
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => return Ok(None),
    };
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, Some(number))?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Tcp {
        // Connections of the last minute must not keep the port; another listener still does.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &SocketAddr::new(address, port))?;
    if protocol == Protocol::Tcp {
        rustix::net::listen(&socket, BACKLOG)?;
    }
    Ok(Some(socket))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::{PortBinding, PortRequest};

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

    fn wanted(protocol: Protocol, addresses: &[IpAddr], host_port: HostPort) -> Wanted {
        let request = PortRequest { container_port: 80, protocol, host_ip: None, host_port };
        let on = |&host_ip: &IpAddr| Published {
            binding: PortBinding { container_port: 80, protocol, host_ip, host_port: 0 },
            container: [10, 0, 0, 2].into(),
            kernel: true,
            relay: false,
            routed: false,
        };
        Wanted { request, on: addresses.iter().map(on).collect() }
    }

    fn reserve(table: &mut PortTable, protocol: Protocol, address: IpAddr, port: HostPort) -> Result<u16, Refusal> {
        Ok(table.reserve("web", &wanted(protocol, &[address], port))?[0].binding.host_port)
    }

    fn published(protocol: Protocol, address: IpAddr, port: u16) -> Published {
        let mut published = wanted(protocol, &[address], HostPort::Random).on[0];
        published.binding.host_port = port;
        published
    }

    #[test]
    fn a_port_is_given_once_and_again_after_its_release() {
        let mut table = PortTable::new((42_000, 42_999));
        let port = reserve(&mut table, Protocol::Tcp, LOCAL, HostPort::Random).expect("a free port");
        assert!((42_000..=42_999).contains(&port));
        let again = reserve(&mut table, Protocol::Tcp, LOCAL, HostPort::Fixed(port));
        assert!(matches!(again, Err(Refusal::Allocated { holder, .. }) if holder == "web"));
        let wildcard = reserve(&mut table, Protocol::Tcp, ANY, HostPort::Fixed(port));
        assert!(matches!(wildcard, Err(Refusal::Allocated { .. })));
        assert!(reserve(&mut table, Protocol::Udp, LOCAL, HostPort::Fixed(port)).is_ok());
        table.release([&published(Protocol::Tcp, LOCAL, port)]);
        assert!(reserve(&mut table, Protocol::Tcp, LOCAL, HostPort::Fixed(port)).is_ok());
    }

    #[test]
    fn a_foreign_listener_is_told_from_our_own() {
        let foreign = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listener");
        let port = foreign.local_addr().expect("address").port();
        let mut table = PortTable::new((42_000, 42_999));
        let refused = reserve(&mut table, Protocol::Tcp, LOCAL, HostPort::Fixed(port));
        assert!(matches!(refused, Err(Refusal::Bind(_, _, error)) if error.kind() == io::ErrorKind::AddrInUse));
        let range = reserve(&mut table, Protocol::Tcp, LOCAL, HostPort::Range(port, port));
        assert!(matches!(range, Err(Refusal::Exhausted(..))));
    }

    #[test]
    fn random_ports_are_not_repeated_at_once() {
        let mut table = PortTable::new((43_000, 43_999));
        let first = reserve(&mut table, Protocol::Udp, LOCAL, HostPort::Random).expect("a free port");
        table.release([&published(Protocol::Udp, LOCAL, first)]);
        let second = reserve(&mut table, Protocol::Udp, LOCAL, HostPort::Random).expect("a free port");
        assert_ne!(first, second);
    }

    #[test]
    fn both_families_have_the_same_number_or_none() {
        let six: IpAddr = Ipv6Addr::LOCALHOST.into();
        let Ok(foreign) = std::net::TcpListener::bind((six, 0)) else {
            // A machine without IPv6 has nothing to tell here.
            return;
        };
        let port = foreign.local_addr().expect("address").port();
        let mut table = PortTable::new((44_000, 44_999));
        let refused = table.reserve("web", &wanted(Protocol::Tcp, &[LOCAL, six], HostPort::Fixed(port)));
        assert!(matches!(refused, Err(Refusal::Bind(address, ..)) if address == six));
        assert!(reserve(&mut table, Protocol::Tcp, LOCAL, HostPort::Fixed(port)).is_ok(), "nothing is left behind");
        let both = table.reserve("web", &wanted(Protocol::Tcp, &[LOCAL, six], HostPort::Random)).expect("free");
        assert_eq!(both[0].binding.host_port, both[1].binding.host_port);
    }
}
