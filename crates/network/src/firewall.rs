//! The daemon's own nf_tables table: a skeleton that never changes, sets with an element for each bridge, and two maps
//! with one element for each published port.
//!
//! | chain | what it does |
//! | --- | --- |
//! | `guard` | containers cannot reach the host's loopback, although the bridge routes it |
//! | `prerouting`, `output` | published ports go to their container, from outside and from this machine |
//! | `postrouting` | subnets are masqueraded to the outside, to a bridge when it came by a published port, and so is loopback |
//! | `forward` | from outside, and from one bridge to another, only answers and published ports come in; nothing leaves an internal network |
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
/// Devices of all bridges.
const BRIDGES: &str = "bridges";
/// Devices of internal networks.
const INTERNAL: &str = "internal";
/// Pairs of one and the same bridge whose containers may talk to each other.
const TALKING: &str = "talking";
/// Subnets of all bridges, and those that are masqueraded to the outside.
const SUBNETS: &str = "subnets";
const MASQUERADED: &str = "masqueraded";
/// Bytes of a device name.
const DEVICE_NAME: usize = 16;
/// nft's type numbers of an IPv4 address, a protocol and a port, six bits each.
const TYPE_ADDRESS: u32 = 7;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_PORT: u32 = 13;
const TYPE_DEVICE: u32 = 41;
/// `ip_conntrack_info`: established, related.
const ESTABLISHED_OR_RELATED: u32 = 0b110;
/// `IPS_DST_NAT`.
const TRANSLATED: u32 = 1 << 5;
/// `RTN_LOCAL`.
const LOCAL: u32 = 2;

/// What the table has to know of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BridgeRules {
    pub(crate) device: String,
    pub(crate) subnet: Ipv4Net,
    /// Containers may talk to each other.
    pub(crate) icc: bool,
    /// No way to the outside.
    pub(crate) internal: bool,
    /// What leaves for the outside gets the machine's address.
    pub(crate) masquerade: bool,
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
}

impl Firewall {
    pub(crate) fn open(table: String) -> Result<Self, Error> {
        match NftSocket::open() {
            Ok(socket) => Ok(Self { socket, table }),
            Err(source) => Err(Error::Firewall { table, source }),
        }
    }

    /// Replaces the whole table in one transaction.
    pub(crate) fn render(&mut self, bridges: &[BridgeRules], published: &[Published]) -> Result<(), Error> {
        let mut batch = Batch::new(&self.table);
        // Adding first makes the deletion valid when there was none.
        batch.add_table().delete_table().add_table();
        add_maps(&mut batch);
        add_chains(&mut batch);
        for bridge in bridges {
            add_bridge(&mut batch, bridge);
        }
        add_published(&mut batch, published);
        let sent = self.socket.send(batch);
        self.name(sent)
    }

    /// Takes a bridge in. `false` as for [`Self::add`].
    pub(crate) fn add_bridge(&mut self, bridge: &BridgeRules) -> Result<bool, Error> {
        let mut batch = Batch::new(&self.table);
        add_bridge(&mut batch, bridge);
        let sent = self.socket.send(batch);
        self.found(sent)
    }

    /// Forgets a bridge. `false` as for [`Self::add`].
    pub(crate) fn remove_bridge(&mut self, bridge: &BridgeRules) -> Result<bool, Error> {
        let mut batch = Batch::new(&self.table);
        let Elements { names, intervals } = elements(bridge);
        for (set, key) in names {
            batch.delete_elements(set, &[key]);
        }
        for (set, interval) in intervals {
            batch.delete_intervals(set, &[interval]);
        }
        let sent = self.socket.send(batch);
        self.found(sent)
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
    let name = DEVICE_NAME as u32;
    batch.add_set(BRIDGES, (TYPE_DEVICE, name), false);
    batch.add_set(INTERNAL, (TYPE_DEVICE, name), false);
    batch.add_set(TALKING, ((TYPE_DEVICE << 6) | TYPE_DEVICE, 2 * name), false);
    batch.add_set(SUBNETS, (TYPE_ADDRESS, 4), true);
    batch.add_set(MASQUERADED, (TYPE_ADDRESS, 4), true);
}

fn add_chains(batch: &mut Batch<'_>) {
    const RAW: i32 = -300;
    const DESTINATION_NAT: i32 = -100;
    const SOURCE_NAT: i32 = 100;
    let verdict = |verdict| [Expression::Verdict(verdict)];
    batch.add_chain("guard", ChainKind::Filter, Hook::Prerouting, RAW);
    let from_bridge = member(&[Key::InputDevice], BRIDGES);
    batch.add_rule("guard", &[&from_bridge[..], &to_loopback(), &verdict(Verdict::Drop)].concat());

    batch.add_chain("prerouting", ChainKind::Nat, Hook::Prerouting, DESTINATION_NAT);
    // A neighbour that sends to 127.0.0.1 must not reach what is published there.
    batch.add_rule("prerouting", &[&to_loopback()[..], &verdict(Verdict::Return)].concat());
    batch.add_chain("output", ChainKind::Nat, Hook::Output, DESTINATION_NAT);
    for chain in ["prerouting", "output"] {
        batch.add_rule(chain, &translate_one_address());
        batch.add_rule(chain, &translate_any_address());
    }

    batch.add_chain("postrouting", ChainKind::Nat, Hook::Postrouting, SOURCE_NAT);
    for rule in masquerades() {
        batch.add_rule("postrouting", &rule);
    }
    batch.add_chain("forward", ChainKind::Filter, Hook::Forward, 0);
    for rule in forwards() {
        batch.add_rule("forward", &rule);
    }
}

type Interval = (Vec<u8>, Vec<u8>);

/// The elements of a bridge, each with its set.
struct Elements {
    names: Vec<(&'static str, Vec<u8>)>,
    /// First address, and the first one behind.
    intervals: Vec<(&'static str, Interval)>,
}

fn elements(bridge: &BridgeRules) -> Elements {
    let name = padded(&bridge.device);
    let mut names = vec![(BRIDGES, name.clone())];
    if bridge.internal {
        names.push((INTERNAL, name.clone()));
    }
    if bridge.icc {
        names.push((TALKING, [name.clone(), name].concat()));
    }
    let behind = u32::from(bridge.subnet.broadcast()).wrapping_add(1);
    let interval = (bridge.subnet.network().octets().to_vec(), behind.to_be_bytes().to_vec());
    let mut intervals = vec![(SUBNETS, interval.clone())];
    if bridge.masquerade && !bridge.internal {
        intervals.push((MASQUERADED, interval));
    }
    Elements { names, intervals }
}

fn add_bridge(batch: &mut Batch<'_>, bridge: &BridgeRules) {
    let Elements { names, intervals } = elements(bridge);
    for (set, key) in names {
        batch.add_members(set, &[key]);
    }
    for (set, interval) in intervals {
        batch.add_intervals(set, &[interval]);
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

fn masquerades() -> [Vec<Expression>; 4] {
    let masquerade = [Expression::Masquerade];
    let to_bridge = member(&[Key::OutputDevice], BRIDGES);
    let from_loopback = [
        Expression::Payload(Field::SourceAddress(1), Register(0)),
        Expression::Compare(Register(0), Comparison::Equal, vec![127]),
    ];
    [
        // A container that reaches a neighbour, or itself, by a published port: the answer must come back the same way.
        [&from_subnets(SUBNETS)[..], &to_bridge, &translated(), &masquerade].concat(),
        [&from_loopback[..], &to_bridge, &masquerade].concat(),
        [&to_bridge[..], &[Expression::Verdict(Verdict::Return)]].concat(),
        [&from_subnets(MASQUERADED)[..], &masquerade].concat(),
    ]
}

fn forwards() -> Vec<Vec<Expression>> {
    let accept = [Expression::Verdict(Verdict::Accept)];
    let drop = [Expression::Verdict(Verdict::Drop)];
    let from = |set| member(&[Key::InputDevice], set);
    let to = |set| member(&[Key::OutputDevice], set);
    vec![
        [&member(&[Key::InputDevice, Key::OutputDevice], TALKING)[..], &accept].concat(),
        [&from(INTERNAL)[..], &drop].concat(),
        [&to(INTERNAL)[..], &drop].concat(),
        [&to(BRIDGES)[..], &bits(Key::ConnectionState, ESTABLISHED_OR_RELATED), &accept].concat(),
        [&to(BRIDGES)[..], &translated(), &accept].concat(),
        [&to(BRIDGES)[..], &drop].concat(),
        [&from(BRIDGES)[..], &accept].concat(),
    ]
}

/// The devices, one behind the other, are in a set.
fn member(keys: &[Key], set: &'static str) -> Vec<Expression> {
    let loads = keys.iter().zip((0..).step_by(DEVICE_NAME / 4)).map(|(key, at)| Expression::Load(*key, Register(at)));
    loads.chain([Expression::Member { set, key: Register(0) }]).collect()
}

fn from_subnets(set: &'static str) -> Vec<Expression> {
    vec![Expression::Payload(Field::SourceAddress(4), Register(0)), Expression::Member { set, key: Register(0) }]
}

fn to_loopback() -> Vec<Expression> {
    vec![
        Expression::Payload(Field::DestinationAddress(1), Register(0)),
        Expression::Compare(Register(0), Comparison::Equal, vec![127]),
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
    vec![Expression::Load(key, Register(0)), Expression::Compare(Register(0), comparison, padded(name))]
}

fn padded(name: &str) -> Vec<u8> {
    let mut padded = name.as_bytes().to_vec();
    padded.resize(DEVICE_NAME, 0);
    padded
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
    fn a_bridge_has_an_element_for_each_of_its_properties() {
        let mut bridge = BridgeRules {
            device: "br-a".to_owned(),
            subnet: "10.1.0.0/16".parse().expect("subnet"),
            icc: true,
            internal: false,
            masquerade: true,
        };
        let sets = |bridge: &BridgeRules| {
            let Elements { names, intervals } = elements(bridge);
            let sets = names.iter().map(|(set, _)| *set).chain(intervals.iter().map(|(set, _)| *set));
            sets.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(sets(&bridge), "bridges talking subnets masqueraded");
        let Elements { intervals, .. } = elements(&bridge);
        assert_eq!(intervals[0].1, (vec![10, 1, 0, 0], vec![10, 2, 0, 0]));
        (bridge.icc, bridge.internal) = (false, true);
        assert_eq!(sets(&bridge), "bridges internal subnets");
    }

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
