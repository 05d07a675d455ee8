//! What `iptables -t nat -L` shows of published ports and masqueraded subnets.
//!
//! **It is a view.** What translates packets is our own table; scripts and people look in iptables' tables, though. So
//! the published ports are written down as rules of a chain `DOCKER` there that nothing jumps to: no packet sees them.
//! The rules of masqueraded subnets are in `POSTROUTING`, where iptables wants to see them, and say what our own table
//! does anyway; whichever is asked first, the packet gets the same address.
//!
//! Rules carry a mark with the name of our table, which no program prints; an `iptables-restore` loses it, so that rules
//! which name our bridge are ours as well. What does not fit [`LIMIT`] is not shown.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use sys::nft::{
    Batch, Chain, ChainKind, Comparison, Expression, Extension, Family, Hook, Key, NftSocket, Place, RawRule, Register,
    Rule, Step, steps, user_data,
};

use crate::Protocol;
use crate::publish::Published;

const TABLE: &str = "nat";
const PORTS: &str = "DOCKER";
const SOURCES: &str = "POSTROUTING";
/// A chain is copied whole by the kernel when a rule comes or goes.
const LIMIT: usize = 1000;

/// What is to be seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Published ports, each with the bridge of its container.
    pub(super) published: Vec<(String, Published)>,
    /// Subnets that leave with another address.
    pub(super) subnets: Vec<Subnet>,
}

/// A subnet whose packets leave with another address.
#[derive(Clone, Debug)]
pub(super) struct Subnet {
    pub(super) device: String,
    pub(super) net: IpNet,
    /// The address; `None` takes that of the outgoing device.
    pub(super) source: Option<IpAddr>,
}

/// Makes the view of one family what it should be: one transaction with what has changed, none when nothing has.
pub(super) fn follow(socket: &mut NftSocket, family: Family, owner: &str, seen: &Seen) -> io::Result<()> {
    let wanted = wanted(family, seen);
    let marked = |rule: &RawRule| RawRule { user_data: user_data::mark(owner), ..rule.clone() };
    let devices: Vec<&str> = seen.subnets.iter().map(|subnet| subnet.device.as_str()).collect();
    let devices: Vec<&str> = devices.into_iter().chain(seen.published.iter().map(|(name, _)| name.as_str())).collect();
    let mut batch = Batch::new(family, TABLE);
    let mut changes = 0;
    if family == Family::Ipv4 {
        // Scripts ask for it even when nothing is published.
        let chains = socket.chains()?;
        let is = |chain: &Chain| chain.family == family && chain.table == TABLE && chain.name == PORTS;
        if !chains.iter().any(is) {
            make_chain(&mut batch, PORTS);
            changes += 1;
        }
    }
    for (chain, rules) in &wanted {
        let rules: Vec<RawRule> = rules.iter().map(marked).collect();
        changes += change_chain(socket, &mut batch, chain, &rules, |rule| is_ours(rule, owner, &devices))?;
    }
    send(socket, batch, changes)
}

/// Takes the rules away that carry our mark. The chain stays: it is not only ours.
pub(super) fn withdraw(socket: &mut NftSocket, family: Family, owner: &str) -> io::Result<()> {
    let mut batch = Batch::new(family, TABLE);
    let mut changes = 0;
    for chain in [PORTS, SOURCES] {
        changes += change_chain(socket, &mut batch, chain, &[], |rule| is_ours(rule, owner, &[]))?;
    }
    send(socket, batch, changes)
}

/// Makes our rules of a chain these; returns how many come and go.
fn change_chain(
    socket: &mut NftSocket,
    batch: &mut Batch<'_>,
    chain: &'static str,
    rules: &[RawRule],
    ours: impl Fn(&Rule) -> bool,
) -> io::Result<usize> {
    let present = socket.rules(Some((batch.family(), TABLE, Some(chain))))?;
    let (added, removed) = difference(rules, present.iter().filter(|rule| ours(rule)));
    if !added.is_empty() {
        make_chain(batch, chain);
    }
    for handle in &removed {
        batch.delete_rule(chain, *handle);
    }
    for rule in &added {
        batch.add_raw_rule(chain, rule, Place::Last);
    }
    Ok(added.len() + removed.len())
}

fn send(socket: &mut NftSocket, batch: Batch<'_>, changes: usize) -> io::Result<()> {
    if changes == 0 {
        return Ok(());
    }
    match socket.send(batch) {
        // Somebody was faster: an event says so, and this is done again.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        sent => sent,
    }
}

/// What has to come, and the handles of what has to go.
fn difference<'a>(wanted: &[RawRule], present: impl Iterator<Item = &'a Rule>) -> (Vec<RawRule>, Vec<u64>) {
    let mut missing: Vec<(Vec<Step>, &RawRule)> = wanted.iter().map(|rule| (steps(rule), rule)).collect();
    missing.sort_by(|(one, _), (other, _)| format!("{one:?}").cmp(&format!("{other:?}")));
    let mut removed = Vec::new();
    let mut kept = vec![false; missing.len()];
    let index: BTreeMap<String, usize> =
        missing.iter().enumerate().map(|(at, (steps, _))| (format!("{steps:?}"), at)).collect();
    for rule in present {
        match index.get(&format!("{:?}", steps(&rule.raw))) {
            Some(&at) if !kept[at] => kept[at] = true,
            _ => removed.push(rule.handle),
        }
    }
    let added = missing.iter().zip(kept).filter(|(_, kept)| !kept).map(|((_, rule), _)| (*rule).clone());
    (added.collect(), removed)
}

fn make_chain(batch: &mut Batch<'_>, chain: &str) {
    const SOURCE_NAT: i32 = 100;
    batch.add_table();
    if chain == SOURCES {
        batch.add_chain(SOURCES, ChainKind::Nat, Hook::Postrouting, SOURCE_NAT);
    } else {
        batch.add_plain_chain(PORTS);
    }
}

fn is_ours(rule: &Rule, owner: &str, devices: &[&str]) -> bool {
    if let Some(mark) = user_data::mark_of(&rule.raw.user_data) {
        return mark == owner;
    }
    let steps = steps(&rule.raw);
    let translates = matches!(steps.last(), Some(Step::Target(name, _)) if name != "LOG");
    let names_bridge = |step: &Step| match step {
        Step::Compare { operator: 1, data, .. } => devices.iter().any(|device| terminated(device) == *data),
        _ => false,
    };
    translates && steps.iter().any(names_bridge)
}

/// The rules of each chain.
fn wanted(family: Family, seen: &Seen) -> [(&'static str, Vec<RawRule>); 2] {
    let fits = |address: &IpAddr| address.is_ipv4() == (family == Family::Ipv4);
    let mut ports: Vec<&(String, Published)> = seen.published.iter().filter(|(_, one)| fits(&one.container)).collect();
    ports.sort_by_key(|(_, one)| (one.binding.host_port, one.binding.protocol.number(), one.binding.host_ip));
    ports.dedup();
    let ports = ports.into_iter().take(LIMIT).map(|(device, one)| port_rule(device, one)).collect();
    let subnets = seen.subnets.iter().filter(|subnet| fits(&subnet.net.addr()));
    [(PORTS, ports), (SOURCES, subnets.take(LIMIT).map(subnet_rule).collect())]
}

/// `! -i BRIDGE [-d ADDRESS] -p PROTOCOL --dport PORT -j DNAT --to-destination ADDRESS:PORT`, as iptables 1.8 encodes it.
fn port_rule(device: &str, published: &Published) -> RawRule {
    let binding = published.binding;
    let (host, container) = (binding.host_ip, published.container);
    let protocol = binding.protocol.number();
    let mut rule = not_device(Key::InputDevice, device);
    rule.extend([
        Expression::Load(Key::TransportProtocol, Register(0)),
        Expression::Compare(Register(0), Comparison::Equal, vec![protocol]),
    ]);
    if !host.is_unspecified() && host.is_ipv4() == container.is_ipv4() {
        let bytes = octets(host);
        rule.push(Expression::Bytes {
            header: 1,
            offset: bytes.0,
            length: bytes.1.len() as u32,
            register: Register(0),
        });
        rule.push(Expression::Compare(Register(0), Comparison::Equal, bytes.1));
    }
    if binding.protocol == Protocol::Sctp {
        // Only of TCP and UDP does iptables read a port out of the plain expressions.
        rule.push(Expression::Match(sctp_port(binding.host_port)));
    } else {
        rule.push(Expression::Bytes { header: 2, offset: 2, length: 2, register: Register(0) });
        let port = binding.host_port.to_be_bytes().to_vec();
        rule.push(Expression::Compare(Register(0), Comparison::Equal, port));
    }
    rule.extend([Expression::Counter, Expression::Target(translate("DNAT", container, binding.container_port))]);
    RawRule { protocol: Some(u32::from(protocol)), ..RawRule::of(&rule) }
}

/// `-s SUBNET ! -o BRIDGE -j MASQUERADE`, or `-j SNAT --to-source ADDRESS`.
fn subnet_rule(subnet: &Subnet) -> RawRule {
    let mut rule = not_device(Key::OutputDevice, &subnet.device);
    let net = subnet.net.trunc();
    let (offset, bytes) = octets(net.addr());
    // Before the destination, which has as many bytes.
    let offset = offset - bytes.len() as u32;
    let prefix = usize::from(net.prefix_len());
    let whole = prefix.is_multiple_of(8) && prefix > 0;
    let length = if whole { prefix / 8 } else { bytes.len() };
    rule.push(Expression::Bytes { header: 1, offset, length: length as u32, register: Register(0) });
    if !whole {
        rule.push(Expression::LongMask(Register(0), octets(net.netmask()).1));
    }
    rule.push(Expression::Compare(Register(0), Comparison::Equal, bytes[..length].to_vec()));
    let target = match subnet.source {
        Some(source) => translate("SNAT", source, 0),
        // `struct nf_nat_ipv4_multi_range_compat` with one empty range; `struct nf_nat_range`.
        None => {
            let mut data = vec![0; if net.addr().is_ipv4() { 24 } else { 40 }];
            if net.addr().is_ipv4() {
                data[..4].copy_from_slice(&1_u32.to_ne_bytes());
            }
            Extension { name: "MASQUERADE".to_owned(), revision: 0, data }
        }
    };
    rule.extend([Expression::Counter, Expression::Target(target)]);
    RawRule { protocol: Some(0), ..RawRule::of(&rule) }
}

fn not_device(key: Key, device: &str) -> Vec<Expression> {
    let name = terminated(device);
    vec![Expression::Load(key, Register(0)), Expression::Compare(Register(0), Comparison::NotEqual, name)]
}

fn terminated(device: &str) -> Vec<u8> {
    [device.as_bytes(), &[0]].concat()
}

/// Offset of the destination address in the network header, and its bytes.
fn octets(address: IpAddr) -> (u32, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (16, address.octets().to_vec()),
        IpAddr::V6(address) => (24, address.octets().to_vec()),
    }
}

/// `struct nf_nat_range2`: addresses, and ports unless that is 0.
fn translate(name: &str, address: IpAddr, port: u16) -> Extension {
    const ADDRESSES: u32 = 1;
    const PORTS: u32 = 2;
    let flags = ADDRESSES | if port == 0 { 0 } else { PORTS };
    let mut bytes = octets(address).1;
    bytes.resize(16, 0);
    let mut data = flags.to_ne_bytes().to_vec();
    data.extend([bytes.clone(), bytes].concat());
    data.extend([port.to_be_bytes(), port.to_be_bytes()].concat());
    data.resize(48, 0);
    Extension { name: name.to_owned(), revision: 2, data }
}

/// `struct xt_sctp_info` with one destination port.
fn sctp_port(port: u16) -> Extension {
    const DESTINATION_PORTS: u32 = 2;
    const CHUNK_FLAGS: usize = 8 + 256 + 4;
    let mut data = vec![0; 296];
    data[..4].copy_from_slice(&[port.to_ne_bytes(), port.to_ne_bytes()].concat());
    // What iptables leaves in the four empty places for chunk types.
    (0..4).for_each(|place| data[CHUNK_FLAGS + 3 * place] = 0xff);
    data[CHUNK_FLAGS + 16..CHUNK_FLAGS + 20].copy_from_slice(&DESTINATION_PORTS.to_ne_bytes());
    Extension { name: "sctp".to_owned(), revision: 0, data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PortBinding;

    fn published(host_port: u16, protocol: Protocol) -> (String, Published) {
        let binding = PortBinding { container_port: 80, protocol, host_ip: IpAddr::from([0; 4]), host_port };
        let published =
            Published { binding, container: IpAddr::from([172, 17, 0, 2]), kernel: true, relay: false, routed: false };
        ("docker0".to_owned(), published)
    }

    #[test]
    fn rules_that_are_there_stay_and_others_go() {
        let seen = Seen { published: vec![published(1, Protocol::Tcp), published(2, Protocol::Udp)], subnets: vec![] };
        let [(_, rules), _] = wanted(Family::Ipv4, &seen);
        let rule = |handle, raw: &RawRule| Rule {
            family: Family::Ipv4,
            table: TABLE.to_owned(),
            chain: PORTS.to_owned(),
            handle,
            raw: raw.clone(),
        };
        let stale = wanted(Family::Ipv4, &Seen { published: vec![published(3, Protocol::Tcp)], subnets: vec![] });
        // One that is right, the same once more, and one that is no longer.
        let present = [rule(10, &rules[0]), rule(11, &rules[0]), rule(12, &stale[0].1[0])];
        let (added, removed) = difference(&rules, present.iter());
        assert_eq!((added, removed), (vec![rules[1].clone()], vec![11, 12]));
        let mut marked = present[0].clone();
        assert!(is_ours(&marked, "gantry_docker0", &["docker0"]));
        assert!(!is_ours(&marked, "gantry_docker0", &["docker1"]));
        marked.raw.user_data = user_data::mark("gantry_docker1");
        assert!(!is_ours(&marked, "gantry_docker0", &["docker0"]));
    }

    #[test]
    fn each_family_shows_its_own() {
        let subnet = |net: &str| Subnet { device: "br".to_owned(), net: net.parse().expect("net"), source: None };
        let seen = Seen {
            published: vec![published(1, Protocol::Sctp)],
            subnets: vec![subnet("10.0.0.0/20"), subnet("fd00::/64")],
        };
        let counts = |family| wanted(family, &seen).map(|(_, rules)| rules.len());
        assert_eq!((counts(Family::Ipv4), counts(Family::Ipv6)), ([1, 1], [0, 1]));
    }
}
