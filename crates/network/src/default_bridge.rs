//! What the default bridge needs, decided without doing it. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use types::NetworkId;

use crate::bridge::{GatewayMode, Outgoing, Side};
use crate::config::{DefaultAddresses, DefaultBridge};
use crate::definition::Subnet;
use crate::observe::Observed;
use crate::plan::{BridgePlan, free_subnet, local_subnet, plan_bridge, with_first_host};
use crate::{Error, IpamPool, NetworkConfig};

/// Docker's name for a gateway that is not the bridge.
const FOREIGN_GATEWAY: [&str; 2] = ["DefaultGatewayIPv4", "DefaultGatewayIPv6"];

/// The default bridge, and the addresses on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DefaultPlan {
    pub(crate) bridge: BridgePlan,
    pub(crate) sides: Vec<Side>,
    /// As `network inspect` shows them.
    pub(crate) pools: Vec<IpamPool>,
}

/// One family as it was asked for.
struct Asked {
    own: IpNet,
    range: Option<IpNet>,
    gateway: Option<IpAddr>,
}

/// Decides; `None` when there is to be no default bridge. `previous` is the address that the bridge had for endpoints
/// that still exist.
pub(crate) fn plan_default(
    config: &NetworkConfig,
    id: &NetworkId,
    previous: Option<IpNet>,
    observed: &Observed,
) -> Result<Option<DefaultPlan>, Error> {
    let (name, owned) = match &config.bridge {
        DefaultBridge::Owned { name } => (name, true),
        DefaultBridge::Existing { name } => (name, false),
        DefaultBridge::Disabled => return Ok(None),
    };
    let link = observed.link(name);
    match link {
        Some(link) if link.kind != "bridge" => return Err(Error::NotABridge(name.clone())),
        None if !owned => return Err(Error::BridgeMissing(name.clone())),
        _ => {}
    }
    let index = link.map_or(0, |link| link.index);
    let ipv4 = ipv4(config, owned.then_some(previous), index, observed)?;
    let ipv4 = ipv4.ok_or_else(|| Error::BridgeWithoutAddress(name.clone()))?;
    let asked = [Some(ipv4), ipv6(&config.default, id, index, observed)];
    let (mut sides, mut pools) = (Vec::new(), Vec::new());
    for asked in asked.into_iter().flatten() {
        check(&asked)?;
        sides.push(side(config, &asked));
        pools.push(pool(&asked));
    }
    let mut bridge = plan_bridge(name, &sides, config.mtu, owned, observed)?;
    if let Some(bip) = config.default.bip {
        let others = observed.on(index).filter(|own| own.address.is_ipv4());
        bridge.remove_addresses =
            others.filter(|own| (own.address, own.prefix) != (bip.addr().into(), bip.prefix_len())).copied().collect();
    }
    Ok(Some(DefaultPlan { bridge, sides, pools }))
}

/// As told; or as the device has it, or had it, or as a part of the subnet was told; or the first that is free. `previous`
/// is `None` for a device that is not ours to give addresses to.
fn ipv4(
    config: &NetworkConfig,
    previous: Option<Option<IpNet>>,
    index: u32,
    observed: &Observed,
) -> Result<Option<Asked>, Error> {
    let wanted = &config.default;
    let present = observed.on(index).find(|own| own.address.is_ipv4());
    let present = present.and_then(|own| IpNet::new(own.address, own.prefix).ok());
    let fixed = wanted.fixed.map(IpNet::V4);
    let own = match (wanted.bip.map(IpNet::V4).or(present), previous) {
        (Some(own), _) => own,
        (None, None) => return Ok(None),
        (None, Some(Some(previous))) => previous,
        (None, Some(None)) => match fixed {
            Some(fixed) => own_of(&with_first_host(fixed)),
            None => own_of(&free_subnet(&config.address_pools, observed, &[], index)?),
        },
    };
    Ok(Some(Asked { own, range: fixed, gateway: wanted.gateway.map(IpAddr::V4) }))
}

/// As [`ipv4`]; what nobody told is made of the network's id, so that it stays.
fn ipv6(wanted: &DefaultAddresses, id: &NetworkId, index: u32, observed: &Observed) -> Option<Asked> {
    let fixed = wanted.fixed6.map(IpNet::V6);
    if !wanted.ipv6 {
        return None;
    }
    let global = |address: IpAddr| matches!(address, IpAddr::V6(address) if !address.is_unicast_link_local());
    let present = observed.on(index).find(|own| global(own.address));
    let present = present.and_then(|own| IpNet::new(own.address, own.prefix).ok());
    let fits = |present: &IpNet| fixed.is_none_or(|fixed| present.contains(&fixed.trunc()));
    let own =
        wanted.bip6.map(IpNet::V6).or(present.filter(fits)).or(fixed.map(|fixed| own_of(&with_first_host(fixed))));
    let own = own.unwrap_or_else(|| own_of(&subnet_of(id)));
    Some(Asked { own, range: fixed, gateway: wanted.gateway6.map(IpAddr::V6) })
}

/// The local subnet that an identifier's first seven bytes make.
fn subnet_of(id: &NetworkId) -> Subnet {
    let digits = u64::from_str_radix(&id.as_str()[..14], 16).unwrap_or_default();
    let [_, bytes @ ..] = digits.to_be_bytes();
    local_subnet(bytes)
}

fn own_of(subnet: &Subnet) -> IpNet {
    subnet.gateway.and_then(|own| IpNet::new(own, subnet.net.prefix_len()).ok()).unwrap_or(subnet.net)
}

fn check(asked: &Asked) -> Result<(), Error> {
    let subnet = asked.own.trunc();
    if let Some(range) = asked.range.filter(|range| !subnet.contains(&range.trunc())) {
        return Err(Error::BadPool(format!("invalid ip-range {range}: it does not belong to subnet {subnet}")));
    }
    match asked.gateway.filter(|gateway| !subnet.contains(gateway)) {
        Some(gateway) => Err(Error::BadPool(format!("default gateway {gateway} does not belong to subnet {subnet}"))),
        None => Ok(()),
    }
}

fn side(config: &NetworkConfig, asked: &Asked) -> Side {
    let own = asked.own.addr();
    Side {
        subnet: Subnet { net: asked.own.trunc(), gateway: Some(asked.gateway.unwrap_or(own)) },
        mode: GatewayMode::Nat,
        outgoing: if config.masquerade { Outgoing::Masqueraded } else { Outgoing::Kept },
        address: Some(own),
    }
}

fn pool(asked: &Asked) -> IpamPool {
    let name = FOREIGN_GATEWAY[usize::from(asked.own.addr().is_ipv6())];
    IpamPool {
        subnet: asked.own.trunc(),
        range: asked.range,
        gateway: Some(asked.own.addr()),
        auxiliary: asked.gateway.map(|gateway| (name.to_owned(), gateway)).into_iter().collect::<BTreeMap<_, _>>(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sys::netlink::{Address, Link};

    use super::*;
    use crate::plan::tests::route;

    fn config(bridge: DefaultBridge, default: DefaultAddresses) -> NetworkConfig {
        NetworkConfig { default, ..NetworkConfig::new(Path::new("/d"), Path::new("/e"), bridge) }
    }

    fn owned(default: DefaultAddresses) -> NetworkConfig {
        config(DefaultBridge::Owned { name: "br".to_owned() }, default)
    }

    fn decide(config: &NetworkConfig, observed: &Observed) -> Result<Option<DefaultPlan>, Error> {
        plan_default(config, &NetworkId::from_bytes([0x11; 32]), None, observed)
    }

    fn plan(config: &NetworkConfig, observed: &Observed) -> DefaultPlan {
        decide(config, observed).expect("a plan").expect("a bridge")
    }

    fn bip(text: &str) -> DefaultAddresses {
        DefaultAddresses { bip: Some(text.parse().expect("net")), ..DefaultAddresses::default() }
    }

    fn bridge(index: u32, mtu: u32) -> Link {
        Link { index, name: "br".to_owned(), kind: "bridge".to_owned(), mtu, ..Link::default() }
    }

    fn own(plan: &DefaultPlan) -> String {
        let one = |side: &Side| format!("{}/{}", side.address.expect("address"), side.subnet.net.prefix_len());
        plan.sides.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_new_bridge_takes_the_first_pool_and_the_uplink_s_mtu() {
        let eth0 = Link { index: 2, name: "eth0".to_owned(), mtu: 1400, ..Link::default() };
        let observed = Observed { links: vec![eth0], routes: vec![route("0.0.0.0/0", 2)], ..Observed::default() };
        let plan = plan(&owned(DefaultAddresses::default()), &observed);
        assert_eq!(own(&plan), "172.17.0.1/16");
        let bridge = plan.bridge;
        assert_eq!((bridge.create, bridge.add_addresses.len(), bridge.mtu, bridge.set_mtu), (true, 1, 1400, false));
    }

    #[test]
    fn pools_that_overlap_a_route_or_an_address_are_passed_over() {
        let wanted = owned(DefaultAddresses::default());
        let address = Address { device: 9, address: [172, 19, 3, 4].into(), prefix: 24 };
        let routes = vec![route("172.17.0.0/16", 9), route("172.18.5.0/24", 9)];
        let observed = Observed { routes, addresses: vec![address], ..Observed::default() };
        assert_eq!(own(&plan(&wanted, &observed)), "172.20.0.1/16");
        let observed = Observed { routes: vec![route("172.16.0.0/12", 9)], ..Observed::default() };
        assert_eq!(own(&plan(&wanted, &observed)), "192.168.0.1/20");
        let routes = vec![route("172.16.0.0/12", 9), route("192.168.0.0/16", 9)];
        let observed = Observed { routes, ..Observed::default() };
        assert!(matches!(decide(&wanted, &observed), Err(Error::NoFreeSubnet)));
    }

    #[test]
    fn an_existing_bridge_keeps_its_address_unless_another_is_asked_for() {
        let address = Address { device: 5, address: [10, 9, 0, 1].into(), prefix: 24 };
        let observed = Observed { links: vec![bridge(5, 1500)], addresses: vec![address], ..Observed::default() };
        let kept = plan(&owned(DefaultAddresses::default()), &observed);
        assert_eq!(
            (own(&kept).as_str(), kept.bridge.add_addresses.len(), kept.bridge.create),
            ("10.9.0.1/24", 0, false)
        );
        let changed = plan(&owned(bip("10.8.0.1/24")), &observed);
        assert_eq!((changed.bridge.add_addresses.len(), changed.bridge.remove_addresses), (1, vec![address]));
    }

    #[test]
    fn a_foreign_device_must_be_a_bridge_with_an_address() {
        let wanted = config(DefaultBridge::Existing { name: "br".to_owned() }, DefaultAddresses::default());
        let none = Observed::default();
        assert!(matches!(decide(&wanted, &none), Err(Error::BridgeMissing(_))));
        let bare = Observed { links: vec![bridge(5, 1500)], ..Observed::default() };
        assert!(matches!(decide(&wanted, &bare), Err(Error::BridgeWithoutAddress(_))));
        let dummy = Observed { links: vec![Link { kind: "dummy".to_owned(), ..bridge(5, 1500) }], ..none };
        assert!(matches!(decide(&wanted, &dummy), Err(Error::NotABridge(_))));
        let disabled = config(DefaultBridge::Disabled, DefaultAddresses::default());
        assert_eq!(decide(&disabled, &bare).expect("a plan"), None);
    }

    #[test]
    fn a_part_of_the_subnet_and_another_gateway_are_as_told() {
        let wanted = DefaultAddresses {
            fixed: Some("10.211.55.128/26".parse().expect("net")),
            gateway: Some([10, 211, 55, 254].into()),
            ..bip("10.211.55.5/24")
        };
        let plan = plan(&owned(wanted), &Observed::default());
        assert_eq!(own(&plan), "10.211.55.5/24");
        assert_eq!(plan.sides[0].subnet.gateway, Some([10, 211, 55, 254].into()));
        let pool = &plan.pools[0];
        assert_eq!(
            (pool.range.map(|range| range.to_string()).as_deref(), pool.auxiliary.len()),
            (Some("10.211.55.128/26"), 1)
        );
        let outside = DefaultAddresses { fixed: Some("10.9.0.0/26".parse().expect("net")), ..bip("10.211.55.5/24") };
        assert!(matches!(decide(&owned(outside), &Observed::default()), Err(Error::BadPool(_))));
    }

    #[test]
    fn ipv6_is_as_told_or_a_local_subnet_that_stays() {
        let ipv6 = DefaultAddresses { ipv6: true, ..bip("10.8.0.1/24") };
        let plan = |default: &DefaultAddresses| own(&plan(&owned(default.clone()), &Observed::default()));
        assert_eq!(plan(&ipv6), "10.8.0.1/24 fd11:1111:1111:1111::1/64");
        let fixed = DefaultAddresses { fixed6: Some("2001:db8:1::/64".parse().expect("net")), ..ipv6.clone() };
        assert_eq!(plan(&fixed), "10.8.0.1/24 2001:db8:1::1/64");
        let told = DefaultAddresses { bip6: Some("fd00::9/64".parse().expect("net")), ..ipv6 };
        assert_eq!(plan(&told), "10.8.0.1/24 fd00::9/64");
    }
}
