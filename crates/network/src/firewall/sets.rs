//! The sets and maps of the table, and what a bridge or a published port is in them. Pure.

use std::net::IpAddr;

use ipnet::IpNet;
use sys::nft::{Batch, Family, Interval};

use super::BridgeRules;
use crate::bridge::{GatewayMode, Outgoing};
use crate::linked::Linked;
use crate::publish::Published;

/// Devices of all bridges.
pub(super) const BRIDGES: &str = "bridges";
/// Devices of internal networks.
pub(super) const INTERNAL: &str = "internal";
/// Pairs of one and the same bridge whose containers may talk to each other.
pub(super) const TALKING: &str = "talking";
/// Pairs of a device of the host and a bridge that it may reach every port of.
pub(super) const TRUSTED: &str = "trusted";
/// Bytes of a device name.
pub(super) const DEVICE_NAME: usize = 16;

/// nft's type numbers, six bits each.
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_PORT: u32 = 13;
const TYPE_DEVICE: u32 = 41;

/// The sets that each family has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sets {
    pub(super) family: Family,
    /// Key: protocol, port. For ports published on every address.
    pub(super) any_address: &'static str,
    /// Key: address, protocol, port.
    pub(super) one_address: &'static str,
    /// Key: address of a container, protocol, port. What may be reached at that address.
    pub(super) opened: &'static str,
    /// Key: addresses of two containers, protocol, port. What links open between containers that may not talk.
    pub(super) linked: &'static str,
    /// Subnets of all bridges, and those that are masqueraded to the outside.
    pub(super) subnets: &'static str,
    pub(super) masqueraded: &'static str,
    /// By subnet: the source address of what leaves for the outside.
    pub(super) sources: &'static str,
    /// Devices of bridges whose containers may be reached at every port.
    pub(super) unprotected: &'static str,
    /// Devices of bridges whose containers answer to a ping from anywhere.
    pub(super) routed: &'static str,
}

pub(super) const IPV4: Sets = Sets {
    family: Family::Ipv4,
    any_address: "published",
    one_address: "published_on",
    opened: "opened",
    linked: "linked",
    subnets: "subnets",
    masqueraded: "masqueraded",
    sources: "sources",
    unprotected: "unprotected",
    routed: "routed",
};

pub(super) const IPV6: Sets = Sets {
    family: Family::Ipv6,
    any_address: "published6",
    one_address: "published6_on",
    opened: "opened6",
    linked: "linked6",
    subnets: "subnets6",
    masqueraded: "masqueraded6",
    sources: "sources6",
    unprotected: "unprotected6",
    routed: "routed6",
};

impl Sets {
    pub(super) fn of(ipv6: bool) -> &'static Self {
        if ipv6 { &IPV6 } else { &IPV4 }
    }

    /// Bytes of an address.
    pub(super) fn width(&self) -> u32 {
        if self.family == Family::Ipv4 { 4 } else { 16 }
    }

    fn add(&self, batch: &mut Batch<'_>) {
        let width = self.width();
        let address = if self.family == Family::Ipv4 { TYPE_IPV4 } else { TYPE_IPV6 };
        let target = ((address << 6) | TYPE_PORT, width + 4);
        let port = (TYPE_PROTOCOL << 6) | TYPE_PORT;
        batch.add_map(self.any_address, (port, 8), target, false);
        batch.add_map(self.one_address, ((address << 12) | port, width + 8), target, false);
        batch.add_set(self.opened, ((address << 12) | port, width + 8), false);
        batch.add_set(self.linked, ((address << 18) | (address << 12) | port, 2 * width + 8), false);
        batch.add_set(self.subnets, (address, width), true);
        batch.add_set(self.masqueraded, (address, width), true);
        batch.add_map(self.sources, (address, width), (address, width), true);
        batch.add_set(self.unprotected, (TYPE_DEVICE, DEVICE_NAME as u32), false);
        batch.add_set(self.routed, (TYPE_DEVICE, DEVICE_NAME as u32), false);
    }
}

/// Makes all of them, empty.
pub(super) fn add_all(batch: &mut Batch<'_>) {
    let name = DEVICE_NAME as u32;
    let pair = ((TYPE_DEVICE << 6) | TYPE_DEVICE, 2 * name);
    batch.add_set(BRIDGES, (TYPE_DEVICE, name), false);
    batch.add_set(INTERNAL, (TYPE_DEVICE, name), false);
    batch.add_set(TALKING, pair, false);
    batch.add_set(TRUSTED, pair, false);
    IPV4.add(batch);
    IPV6.add(batch);
}

/// The elements of a bridge, each with its set.
#[derive(Debug, Default)]
pub(super) struct Elements {
    pub(super) names: Vec<(&'static str, Vec<u8>)>,
    pub(super) intervals: Vec<(&'static str, Interval)>,
    pub(super) mapped: Vec<(&'static str, Interval, Vec<u8>)>,
}

pub(super) fn elements(bridge: &BridgeRules) -> Elements {
    let name = padded(&bridge.device);
    let mut elements = Elements { names: vec![(BRIDGES, name.clone())], ..Elements::default() };
    if bridge.internal {
        elements.names.push((INTERNAL, name.clone()));
    }
    if bridge.icc {
        elements.names.push((TALKING, [name.clone(), name.clone()].concat()));
    }
    for trusted in &bridge.trusted {
        elements.names.push((TRUSTED, [padded(trusted), name.clone()].concat()));
    }
    for side in &bridge.sides {
        let sets = Sets::of(side.subnet.is_ipv6());
        let interval = interval(side.subnet.net);
        elements.intervals.push((sets.subnets, interval.clone()));
        match side.outgoing {
            Outgoing::Kept => {}
            Outgoing::Masqueraded => elements.intervals.push((sets.masqueraded, interval)),
            Outgoing::Replaced(source) => elements.mapped.push((sets.sources, interval, octets(source))),
        }
        match side.mode {
            GatewayMode::NatUnprotected => elements.names.push((sets.unprotected, name.clone())),
            GatewayMode::Routed => elements.names.push((sets.routed, name.clone())),
            GatewayMode::Nat | GatewayMode::Isolated => {}
        }
    }
    elements
}

fn interval(net: IpNet) -> Interval {
    let behind = match net.broadcast() {
        IpAddr::V4(last) => u32::from(last).wrapping_add(1).to_be_bytes().to_vec(),
        IpAddr::V6(last) => u128::from(last).wrapping_add(1).to_be_bytes().to_vec(),
    };
    (octets(net.network()), behind)
}

/// The elements of published ports: those of maps with their values, those of sets without.
pub(super) type PortElements = Vec<(&'static str, Vec<(Vec<u8>, Vec<u8>)>, Vec<Vec<u8>>)>;

/// `direct`: published ports may be reached at the container's own address too. Every part is padded to a register of
/// four bytes.
pub(super) fn ports(published: &[Published], direct: bool) -> PortElements {
    let mut found: PortElements = Vec::new();
    for sets in [&IPV4, &IPV6] {
        let own = published.iter().filter(|one| one.container.is_ipv6() == (sets.family == Family::Ipv6));
        let (mut any, mut one, mut opened) = (Vec::new(), Vec::new(), Vec::new());
        for Published { binding, container, kernel, routed, .. } in own {
            let target = [octets(*container), port(binding.container_port)].concat();
            let key = [vec![binding.protocol.number(), 0, 0, 0], port(binding.host_port)].concat();
            match (*kernel, binding.host_ip.is_unspecified()) {
                (false, _) => {}
                (true, true) => any.push((key, target)),
                (true, false) => one.push(([octets(binding.host_ip), key].concat(), target)),
            }
            if *routed || (*kernel && direct) {
                let key = [vec![binding.protocol.number(), 0, 0, 0], port(binding.container_port)].concat();
                opened.push([octets(*container), key].concat());
            }
        }
        // Two host ports may lead to one port of a container.
        opened.sort();
        opened.dedup();
        found.push((sets.any_address, any, Vec::new()));
        found.push((sets.one_address, one, Vec::new()));
        found.push((sets.opened, Vec::new(), opened));
    }
    found
}

/// The elements of links, by set.
pub(super) fn linked(linked: &[Linked]) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let of = |sets: &'static Sets| {
        let own = linked.iter().filter(|one| one.from.is_ipv6() == (sets.family == Family::Ipv6));
        let key = |Linked { from, permit, .. }: &Linked| {
            let service = [vec![permit.protocol.number(), 0, 0, 0], port(permit.port)].concat();
            [octets(*from), octets(permit.to), service].concat()
        };
        (sets.linked, own.map(key).collect::<Vec<_>>())
    };
    [of(&IPV4), of(&IPV6)].into_iter().filter(|(_, keys)| !keys.is_empty()).collect()
}

pub(crate) fn padded(name: &str) -> Vec<u8> {
    let mut padded = name.as_bytes().to_vec();
    padded.resize(DEVICE_NAME, 0);
    padded
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn port(number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    vec![high, low, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::tests::bridge;
    use crate::{PortBinding, Protocol};

    #[test]
    fn a_bridge_has_an_element_for_each_of_its_properties() {
        let mut bridge = bridge(&["10.1.0.0/16", "fd00::/64"], GatewayMode::Nat).rules();
        let sets = |bridge: &BridgeRules| {
            let Elements { names, intervals, mapped } = elements(bridge);
            let sets = names.iter().map(|(set, _)| *set).chain(intervals.iter().map(|(set, _)| *set));
            sets.chain(mapped.iter().map(|(set, ..)| *set)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(sets(&bridge), "bridges talking subnets masqueraded subnets6 masqueraded6");
        assert_eq!(elements(&bridge).intervals[0].1, (vec![10, 1, 0, 0], vec![10, 2, 0, 0]));
        (bridge.icc, bridge.internal) = (false, true);
        bridge.trusted = vec!["eth0".to_owned()];
        bridge.sides[0].outgoing = Outgoing::Replaced([192, 0, 2, 1].into());
        bridge.sides[1].outgoing = Outgoing::Kept;
        bridge.sides[1].mode = GatewayMode::Routed;
        assert_eq!(sets(&bridge), "bridges internal trusted routed6 subnets subnets6 sources");
    }

    #[test]
    fn elements_go_to_the_map_of_their_address() {
        let published = |host_ip: &str, container: &str| Published {
            binding: PortBinding {
                container_port: 80,
                protocol: Protocol::Tcp,
                host_ip: host_ip.parse().expect("address"),
                host_port: 8080,
            },
            container: container.parse().expect("address"),
            kernel: true,
            relay: false,
            routed: false,
        };
        let all = [published("0.0.0.0", "10.0.0.2"), published("127.0.0.1", "10.0.0.2"), published("::", "fd00::2")];
        let found = ports(&all, false);
        let keys = |map: &str| found.iter().find(|(name, ..)| *name == map).map(|(_, pairs, _)| pairs.clone());
        let port = vec![6, 0, 0, 0, 0x1f, 0x90, 0, 0];
        let value = vec![10, 0, 0, 2, 0, 80, 0, 0];
        assert_eq!(keys("published"), Some(vec![(port.clone(), value.clone())]));
        assert_eq!(keys("published_on"), Some(vec![([vec![127, 0, 0, 1], port.clone()].concat(), value)]));
        assert_eq!(keys("published6").map(|pairs| (pairs[0].0.clone(), pairs[0].1.len())), Some((port, 20)));
        assert!(found.iter().all(|(_, _, opened)| opened.is_empty()));
        let direct = ports(&all, true);
        assert_eq!(direct.iter().map(|(.., opened)| opened.len()).sum::<usize>(), 2, "one of each family");
    }
}
