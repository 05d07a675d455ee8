//! The daemon's own nf_tables table: a skeleton that never changes, and two maps with one element for each published
//! port.
//!
//! | chain | what it does |
//! | --- | --- |
//! | `guard` | containers cannot reach the host's loopback, although the bridge routes it |
//! | `prerouting`, `output` | published ports go to their container, from outside and from this machine |
//! | `postrouting` | the subnet is masqueraded to the outside, to itself when it came by a published port, and so is loopback |
//! | `forward` | from outside only answers and published ports come in |
//!
//! Other tables of the machine still see the packets, and a drop there wins over an accept here: see `forward_chain`.

use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sys::nft::{Batch, ChainKind, Comparison, Expression, Field, Hook, Key, NftSocket, Register, Verdict};

use crate::{Error, PortBinding};

/// Key: protocol, port. For ports published on every address.
const ANY_ADDRESS: &str = "published";
/// Key: address, protocol, port.
const ONE_ADDRESS: &str = "published_on";
/// nft's type numbers of an IPv4 address, a protocol and a port, six bits each.
const TYPE_ADDRESS: u32 = 7;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_PORT: u32 = 13;
/// `ip_conntrack_info`: established, related.
const ESTABLISHED_OR_RELATED: u32 = 0b110;
/// `IPS_DST_NAT`.
const TRANSLATED: u32 = 1 << 5;
/// `RTN_LOCAL`.
const LOCAL: u32 = 2;

/// What the skeleton depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skeleton {
    pub(crate) bridge: String,
    pub(crate) subnet: Ipv4Net,
    /// Containers may talk to each other.
    pub(crate) icc: bool,
}

/// A published port and where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) binding: PortBinding,
    pub(crate) container: Ipv4Addr,
}

/// The table in the kernel.
#[derive(Debug)]
pub(crate) struct Firewall {
    socket: NftSocket,
    table: String,
    skeleton: Skeleton,
}

impl Firewall {
    pub(crate) fn open(skeleton: Skeleton) -> Result<Self, Error> {
        let table = format!("gantry_{}", skeleton.bridge);
        match NftSocket::open() {
            Ok(socket) => Ok(Self { socket, table, skeleton }),
            Err(source) => Err(Error::Firewall { table, source }),
        }
    }

    /// Replaces the whole table in one transaction.
    pub(crate) fn render(&mut self, published: &[Published]) -> Result<(), Error> {
        let mut batch = Batch::new(&self.table);
        // Adding first makes the deletion valid when there was none.
        batch.add_table().delete_table().add_table();
        add_maps(&mut batch);
        add_chains(&mut batch, &self.skeleton);
        add_published(&mut batch, published);
        let sent = self.socket.send(batch);
        self.name(sent)
    }

    /// Publishes ports. `false`: the table is not what it was, somebody flushed it; render it again.
    pub(crate) fn add(&mut self, published: &[Published]) -> Result<bool, Error> {
        let mut batch = Batch::new(&self.table);
        add_published(&mut batch, published);
        let sent = self.socket.send(batch);
        self.found(sent)
    }

    /// Takes ports back. `false` as for [`Self::add`].
    pub(crate) fn remove(&mut self, published: &[Published]) -> Result<bool, Error> {
        let mut batch = Batch::new(&self.table);
        for (map, elements) in by_map(published) {
            let keys: Vec<_> = elements.into_iter().map(|(key, _)| key).collect();
            batch.delete_elements(map, &keys);
        }
        let sent = self.socket.send(batch);
        self.found(sent)
    }

    fn found(&self, sent: io::Result<()>) -> Result<bool, Error> {
        match sent {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => Ok(false),
            sent => self.name(sent).map(|()| true),
        }
    }

    fn name(&self, sent: io::Result<()>) -> Result<(), Error> {
        sent.map_err(|source| Error::Firewall { table: self.table.clone(), source })
    }
}

fn add_maps(batch: &mut Batch<'_>) {
    let target = ((TYPE_ADDRESS << 6) | TYPE_PORT, 8);
    let port = (TYPE_PROTOCOL << 6) | TYPE_PORT;
    batch.add_map(ANY_ADDRESS, (port, 8), target);
    batch.add_map(ONE_ADDRESS, ((TYPE_ADDRESS << 12) | port, 12), target);
}

fn add_chains(batch: &mut Batch<'_>, skeleton: &Skeleton) {
    const RAW: i32 = -300;
    const DESTINATION_NAT: i32 = -100;
    const SOURCE_NAT: i32 = 100;
    batch.add_chain("guard", ChainKind::Filter, Hook::Prerouting, RAW);
    batch.add_rule(
        "guard",
        &[&from_bridge(skeleton)[..], &to_loopback(), &[Expression::Verdict(Verdict::Drop)]].concat(),
    );

    batch.add_chain("prerouting", ChainKind::Nat, Hook::Prerouting, DESTINATION_NAT);
    // A neighbour that sends to 127.0.0.1 must not reach what is published there.
    batch.add_rule("prerouting", &[&to_loopback()[..], &[Expression::Verdict(Verdict::Return)]].concat());
    batch.add_chain("output", ChainKind::Nat, Hook::Output, DESTINATION_NAT);
    for chain in ["prerouting", "output"] {
        batch.add_rule(chain, &translate_one_address());
        batch.add_rule(chain, &translate_any_address());
    }

    batch.add_chain("postrouting", ChainKind::Nat, Hook::Postrouting, SOURCE_NAT);
    for rule in masquerades(skeleton) {
        batch.add_rule("postrouting", &rule);
    }
    batch.add_chain("forward", ChainKind::Filter, Hook::Forward, 0);
    for rule in forwards(skeleton) {
        batch.add_rule("forward", &rule);
    }
}

fn translate_one_address() -> Vec<Expression> {
    vec![
        Expression::Payload(Field::DestinationAddress(4), Register(0)),
        Expression::Load(Key::TransportProtocol, Register(1)),
        Expression::Payload(Field::DestinationPort, Register(2)),
        Expression::Lookup { map: ONE_ADDRESS, key: Register(0), value: Register(0) },
        Expression::DestinationNat { address: Register(0), port: Register(1) },
    ]
}

fn translate_any_address() -> Vec<Expression> {
    vec![
        Expression::Load(Key::DestinationKind, Register(0)),
        Expression::Compare(Register(0), Comparison::Equal, LOCAL.to_ne_bytes().to_vec()),
        Expression::Load(Key::TransportProtocol, Register(0)),
        Expression::Payload(Field::DestinationPort, Register(1)),
        Expression::Lookup { map: ANY_ADDRESS, key: Register(0), value: Register(0) },
        Expression::DestinationNat { address: Register(0), port: Register(1) },
    ]
}

fn masquerades(skeleton: &Skeleton) -> [Vec<Expression>; 3] {
    let masquerade = [Expression::Masquerade];
    let outside = device(Key::OutputDevice, Comparison::NotEqual, &skeleton.bridge);
    let inside = device(Key::OutputDevice, Comparison::Equal, &skeleton.bridge);
    let from_subnet = from_subnet(skeleton.subnet);
    let from_loopback = [
        Expression::Payload(Field::SourceAddress(1), Register(0)),
        Expression::Compare(Register(0), Comparison::Equal, vec![127]),
    ];
    [
        [&from_subnet[..], &outside, &masquerade].concat(),
        // A container that reaches a neighbour, or itself, by a published port: the answer must come back the same way.
        [&from_subnet[..], &inside, &translated(), &masquerade].concat(),
        [&from_loopback[..], &inside, &masquerade].concat(),
    ]
}

fn forwards(skeleton: &Skeleton) -> Vec<Vec<Expression>> {
    let accept = [Expression::Verdict(Verdict::Accept)];
    let drop = [Expression::Verdict(Verdict::Drop)];
    let inside = device(Key::OutputDevice, Comparison::Equal, &skeleton.bridge);
    let from_bridge = from_bridge(skeleton);
    let mut rules = vec![
        [&inside[..], &bits(Key::ConnectionState, ESTABLISHED_OR_RELATED), &accept].concat(),
        [&inside[..], &translated(), &accept].concat(),
    ];
    if !skeleton.icc {
        rules.push([&from_bridge[..], &inside, &drop].concat());
    }
    rules.push([&from_bridge[..], &accept].concat());
    rules.push([&inside[..], &drop].concat());
    rules
}

fn from_bridge(skeleton: &Skeleton) -> Vec<Expression> {
    device(Key::InputDevice, Comparison::Equal, &skeleton.bridge)
}

fn to_loopback() -> Vec<Expression> {
    vec![
        Expression::Payload(Field::DestinationAddress(1), Register(0)),
        Expression::Compare(Register(0), Comparison::Equal, vec![127]),
    ]
}

fn from_subnet(subnet: Ipv4Net) -> Vec<Expression> {
    vec![
        Expression::Payload(Field::SourceAddress(4), Register(0)),
        Expression::Mask(Register(0), subnet.netmask().octets()),
        Expression::Compare(Register(0), Comparison::Equal, subnet.network().octets().to_vec()),
    ]
}

fn translated() -> Vec<Expression> {
    bits(Key::ConnectionStatus, TRANSLATED)
}

/// At least one of the bits is set.
fn bits(key: Key, mask: u32) -> Vec<Expression> {
    vec![
        Expression::Load(key, Register(0)),
        Expression::Mask(Register(0), mask.to_ne_bytes()),
        Expression::Compare(Register(0), Comparison::NotEqual, vec![0; 4]),
    ]
}

pub(crate) fn device(key: Key, comparison: Comparison, name: &str) -> Vec<Expression> {
    let mut padded = name.as_bytes().to_vec();
    padded.resize(16, 0);
    vec![Expression::Load(key, Register(0)), Expression::Compare(Register(0), comparison, padded)]
}

fn add_published(batch: &mut Batch<'_>, published: &[Published]) {
    for (map, elements) in by_map(published) {
        batch.add_elements(map, &elements);
    }
}

type Element = (Vec<u8>, Vec<u8>);

/// The elements of each map; every part is padded to a register of four bytes.
fn by_map(published: &[Published]) -> [(&'static str, Vec<Element>); 2] {
    let (any, one): (Vec<&Published>, Vec<&Published>) =
        published.iter().partition(|published| published.binding.host_ip.is_unspecified());
    let element = |published: &Published| {
        let binding = published.binding;
        let mut key = Vec::with_capacity(12);
        if !binding.host_ip.is_unspecified() {
            key.extend_from_slice(&binding.host_ip.octets());
        }
        key.extend_from_slice(&[binding.protocol.number(), 0, 0, 0]);
        key.extend_from_slice(&port(binding.host_port));
        (key, [published.container.octets(), port(binding.container_port)].concat())
    };
    [(ANY_ADDRESS, any.into_iter().map(element).collect()), (ONE_ADDRESS, one.into_iter().map(element).collect())]
}

fn port(number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [high, low, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;

    #[test]
    fn elements_go_to_the_map_of_their_address() {
        let published = |host_ip: [u8; 4]| Published {
            binding: PortBinding {
                container_port: 80,
                protocol: Protocol::Tcp,
                host_ip: host_ip.into(),
                host_port: 8080,
            },
            container: [172, 17, 0, 2].into(),
        };
        let [(_, any), (_, one)] = by_map(&[published([0; 4]), published([127, 0, 0, 1])]);
        let target = vec![172, 17, 0, 2, 0, 80, 0, 0];
        assert_eq!(any, [(vec![6, 0, 0, 0, 0x1f, 0x90, 0, 0], target.clone())]);
        assert_eq!(one, [(vec![127, 0, 0, 1, 6, 0, 0, 0, 0x1f, 0x90, 0, 0], target)]);
    }
}
