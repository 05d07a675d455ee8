//! The sockets of a container's name server.
//!
//! They are opened inside the container's namespace on a port that nobody asked for, and two rules there lead what is
//! sent to 127.0.0.11:53 to them, so that a program in the container can have port 53 to itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use sys::netns;
use sys::nft::{Batch, ChainKind, Comparison, Expression, Family, Field, Hook, Key, NftSocket, Register, Verdict};

use crate::network::lock;
use crate::{Error, Network, Protocol};

/// Where programs in containers look for their name server.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;
const TABLE: &str = "gantry_names";
const CHAIN: &str = "output";
/// Where the sockets are unless a program of the container is; the rules of the last time fit then.
const USUAL: u16 = 60_053;

/// Sockets of a name server, both not blocking.
#[derive(Debug)]
pub struct ResolverSockets {
    /// For datagrams.
    pub udp: UdpSocket,
    /// For connections.
    pub tcp: TcpListener,
}

impl Network {
    /// The address that containers on users' networks find in their `resolv.conf`.
    pub const RESOLVER: IpAddr = IpAddr::V4(ADDRESS);

    /// Opens a name server's sockets in a namespace, in the place of those that an earlier daemon had there.
    pub fn open_resolver(&self, key: &Path) -> Result<ResolverSockets, Error> {
        let failed = |action| move |source| Error::Sandbox { path: key.to_owned(), action, source };
        // A namespace that was made just now is entered without its pin.
        let known = lock(&self.prepared).get(key).map(|prepared| prepared.namespace.try_clone()).transpose();
        let namespace = match known.map_err(failed("enter"))? {
            Some(namespace) => namespace,
            None => netns::open_pin(key).map_err(failed("enter"))?,
        };
        netns::within(&namespace, open).map_err(failed("open a name server's sockets"))
    }

    /// A socket inside a namespace, from where questions are asked that only its network can answer. Not blocking.
    pub fn open_asker(&self, key: &Path, ipv6: bool) -> Result<UdpSocket, Error> {
        let any: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        within(key, || {
            let socket = UdpSocket::bind((any, 0))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
    }

    /// As [`Self::open_asker`], a connection. Blocks for as long as `patience`.
    pub fn open_stream(&self, key: &Path, server: SocketAddr, patience: Duration) -> Result<TcpStream, Error> {
        within(key, || {
            let stream = TcpStream::connect_timeout(&server, patience)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        })
    }
}

fn within<T: Send>(key: &Path, open: impl FnOnce() -> io::Result<T> + Send) -> Result<T, Error> {
    let failed = |source| Error::Sandbox { path: key.to_owned(), action: "open a socket", source };
    let namespace = netns::open_pin(key).map_err(failed)?;
    netns::within(&namespace, open).map_err(failed)
}

fn open() -> io::Result<ResolverSockets> {
    let udp = usual_or_any(UdpSocket::bind)?;
    let tcp = usual_or_any(TcpListener::bind)?;
    udp.set_nonblocking(true)?;
    tcp.set_nonblocking(true)?;
    lead_to(udp.local_addr()?.port(), tcp.local_addr()?.port())?;
    Ok(ResolverSockets { udp, tcp })
}

fn usual_or_any<S>(bind: impl Fn(SocketAddr) -> io::Result<S>) -> io::Result<S> {
    match bind((ADDRESS, USUAL).into()) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => bind((ADDRESS, 0).into()),
        bound => bound,
    }
}

/// Makes the rules, unless they are there from an earlier time. What is deleted here costs the next 15 ms of this
/// namespace: the kernel waits until nobody can be looking at it.
fn lead_to(udp: u16, tcp: u16) -> io::Result<()> {
    let mut socket = NftSocket::open()?;
    let comment = format!("udp {udp}, tcp {tcp}");
    let present = socket.chain_drops(Family::Ipv4, TABLE, CHAIN)?.is_some();
    let rules = if present { socket.rules(Some((Family::Ipv4, TABLE, Some(CHAIN))))? } else { Vec::new() };
    if rules.iter().filter(|rule| rule.comment() == Some(&comment)).count() == 2 {
        return Ok(());
    }
    let mut batch = Batch::new(Family::Ipv4, TABLE);
    batch.add_table();
    if present {
        batch.delete_table().add_table();
    }
    batch.add_chain(CHAIN, ChainKind::Nat, Hook::Output, -100);
    for (protocol, port) in [(Protocol::Udp, udp), (Protocol::Tcp, tcp)] {
        batch.insert_rule(CHAIN, &redirect(protocol, port), &comment);
    }
    socket.send(batch)
}

fn redirect(protocol: Protocol, port: u16) -> Vec<Expression> {
    let equal = |bytes: Vec<u8>| Expression::Compare(Register(0), Comparison::Equal, bytes);
    vec![
        Expression::Payload(Field::DestinationAddress(4), Register(0)),
        equal(ADDRESS.octets().to_vec()),
        Expression::Load(Key::TransportProtocol, Register(0)),
        equal(vec![protocol.number()]),
        Expression::Payload(Field::DestinationPort, Register(0)),
        equal(PORT.to_be_bytes().to_vec()),
        Expression::Value(Register(0), ADDRESS.octets().to_vec()),
        Expression::Value(Register(1), port.to_be_bytes().to_vec()),
        Expression::DestinationNat { family: Family::Ipv4, address: Register(0), port: Register(1) },
        Expression::Verdict(Verdict::Accept),
    ]
}
