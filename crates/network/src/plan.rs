//! What to do, decided without doing it. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use sys::netlink::Address;
use types::EndpointId;

use crate::bridge::{Bridge, GatewayMode, Outgoing, Side};
use crate::config::AddressPool;
use crate::definition::{Subnet, UserNetwork};
use crate::observe::Observed;
use crate::options::BridgeOptions;
use crate::{AttachRequest, Error, LinkAddress, MacAddress};

/// Ethernet's own, when no route leads outside.
const DEFAULT_MTU: u32 = 1500;

/// How to make a bridge what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BridgePlan {
    pub(crate) name: String,
    /// The device must be created.
    pub(crate) create: bool,
    /// Index, when it exists.
    pub(crate) index: u32,
    /// Addresses to add, with their prefix lengths.
    pub(crate) add_addresses: Vec<(IpAddr, u8)>,
    /// Addresses to take away.
    pub(crate) remove_addresses: Vec<Address>,
    /// MTU of the bridge and of every link on it.
    pub(crate) mtu: u32,
    /// The device's MTU must be changed.
    pub(crate) set_mtu: bool,
}

/// How to attach one endpoint to a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttachPlan {
    pub(crate) host_device: String,
    pub(crate) device: String,
    pub(crate) mac: MacAddress,
    pub(crate) addresses: Vec<LinkAddress>,
    pub(crate) link_local: Vec<IpAddr>,
    /// The default route leads through it.
    pub(crate) is_gateway: bool,
    /// The container may reach itself by a published port.
    pub(crate) hairpin: bool,
}

/// Decides what a bridge needs to have these sides. `owned`: its MTU is ours to set.
pub(crate) fn plan_bridge(
    name: &str,
    sides: &[Side],
    mtu: Option<u32>,
    owned: bool,
    observed: &Observed,
) -> Result<BridgePlan, Error> {
    let link = observed.link(name);
    if link.is_some_and(|link| link.kind != "bridge") {
        return Err(Error::NotABridge(name.to_owned()));
    }
    let index = link.map_or(0, |link| link.index);
    let wanted = sides.iter().filter_map(|side| Some((side.address?, side.subnet.net.prefix_len())));
    let present = |wanted: &(IpAddr, u8)| observed.on(index).any(|own| (own.address, own.prefix) == *wanted);
    let mtu = mtu.or_else(|| observed.outside_mtu()).unwrap_or(DEFAULT_MTU);
    Ok(BridgePlan {
        name: name.to_owned(),
        create: link.is_none(),
        index,
        add_addresses: wanted.filter(|wanted| !present(wanted)).collect(),
        remove_addresses: Vec::new(),
        mtu,
        set_mtu: owned && link.is_some_and(|link| link.mtu != mtu),
    })
}

/// The sides of a user's network.
pub(crate) fn sides(network: &UserNetwork, options: &BridgeOptions) -> Vec<Side> {
    let side = |subnet: &Subnet| {
        let family = usize::from(subnet.is_ipv6());
        let mode = options.modes[family].unwrap_or_default();
        let outgoing = match (mode, options.sources[family]) {
            (GatewayMode::Routed | GatewayMode::Isolated, _) => Outgoing::Kept,
            _ if network.definition.internal || !options.masquerade => Outgoing::Kept,
            (_, Some(source)) => Outgoing::Replaced(source),
            (_, None) => Outgoing::Masqueraded,
        };
        let bare = mode == GatewayMode::Isolated || (options.inhibit_ipv4 && !subnet.is_ipv6());
        Side { subnet: *subnet, mode, outgoing, address: if bare { None } else { subnet.gateway } }
    };
    network.definition.subnets.iter().map(side).collect()
}

/// Decides names and the hardware address of an endpoint. `present` are the devices of the container's namespace.
pub(crate) fn plan_attach(
    endpoint: &EndpointId,
    bridge: &Bridge,
    addresses: Vec<LinkAddress>,
    request: &AttachRequest,
    present: &[String],
) -> AttachPlan {
    let numbered = || (0..).map(|n| format!("{}{n}", bridge.device_prefix)).find(|name| !present.contains(name));
    AttachPlan {
        host_device: host_device(endpoint),
        device: request.device.clone().or_else(numbered).unwrap_or_default(),
        mac: request.mac.unwrap_or_else(|| mac_of(&addresses, endpoint)),
        addresses,
        link_local: request.link_local.clone(),
        is_gateway: request.is_gateway && !bridge.internal,
        hairpin: !request.ports.is_empty(),
    }
}

/// Derived from the IPv4 address, so that neighbours that remember it are right; otherwise from the endpoint's id.
pub(crate) fn mac_of(addresses: &[LinkAddress], endpoint: &EndpointId) -> MacAddress {
    let ipv4 = addresses.iter().find_map(|own| match own.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    let digits = u32::from_str_radix(&endpoint.as_str()[..8], 16).unwrap_or_default();
    MacAddress::from_address(ipv4.unwrap_or_else(|| Ipv4Addr::from(digits)))
}

/// The name of an endpoint's device on the host: 15 bytes are the kernel's limit.
pub(crate) fn host_device(endpoint: &EndpointId) -> String {
    format!("veth{}", &endpoint.as_str()[..11])
}

/// A subnet of IPv4 with its first host as the gateway: the first of the configured pools, or of Docker's default ones,
/// that no route, address or other network overlaps. `bridge` is a device whose own do not count.
pub(crate) fn free_subnet(
    configured: &[AddressPool],
    observed: &Observed,
    others: &[IpNet],
    bridge: u32,
) -> Result<Subnet, Error> {
    let large = (17..32).map(|second| (Ipv4Addr::new(172, second, 0, 0), 16));
    let small = (0..16).map(|third| (Ipv4Addr::new(192, 168, third * 16, 0), 20));
    let pools = large.chain(small).filter_map(|(base, size)| Some(AddressPool { base: v4(base, size)?, size }));
    let pools: Vec<AddressPool> = pools.collect();
    let ipv4: Vec<AddressPool> = configured.iter().copied().filter(|pool| !is_ipv6(pool.base)).collect();
    first_free(if ipv4.is_empty() { &pools } else { &ipv4 }, observed, others, bridge).ok_or(Error::NoFreeSubnet)
}

/// As [`free_subnet`], of the configured pools of IPv6; `None` when none is configured.
pub(crate) fn free_subnet6(
    configured: &[AddressPool],
    observed: &Observed,
    others: &[IpNet],
) -> Result<Option<Subnet>, Error> {
    let ipv6: Vec<AddressPool> = configured.iter().copied().filter(|pool| is_ipv6(pool.base)).collect();
    if ipv6.is_empty() {
        return Ok(None);
    }
    first_free(&ipv6, observed, others, u32::MAX).map(Some).ok_or(Error::NoFreeSubnet)
}

fn first_free(pools: &[AddressPool], observed: &Observed, others: &[IpNet], bridge: u32) -> Option<Subnet> {
    let routes = observed.routes.iter().filter(|route| route.prefix > 0 && route.device != bridge);
    let routes = routes.map(|route| (route.destination, route.prefix));
    let addresses = observed.addresses.iter().filter(|own| own.device != bridge).map(|own| (own.address, own.prefix));
    let seen = routes.chain(addresses).filter_map(|(address, prefix)| IpNet::new(address, prefix).ok());
    let taken: Vec<IpNet> = seen.map(|net| net.trunc()).chain(others.iter().copied()).collect();
    let free = |subnet: &IpNet| !taken.iter().any(|net| overlap(net, subnet));
    pools.iter().find_map(|pool| pool.base.trunc().subnets(pool.size).ok()?.find(free)).map(with_first_host)
}

/// Whether two subnets share addresses.
pub(crate) fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// The first host is the gateway.
pub(crate) fn with_first_host(net: IpNet) -> Subnet {
    let first = match net.network() {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address).saturating_add(1)).into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address).saturating_add(1)).into(),
    };
    Subnet { net: net.trunc(), gateway: Some(first) }
}

/// The /64 of these bytes, out of the range that RFC 4193 leaves to everybody.
pub(crate) fn local_subnet(bytes: [u8; 7]) -> Subnet {
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    octets[1..8].copy_from_slice(&bytes);
    let net = Ipv6Net::new(octets.into(), 64).unwrap_or_default();
    with_first_host(net.into())
}

fn v4(address: Ipv4Addr, prefix: u8) -> Option<IpNet> {
    IpNet::new(address.into(), prefix).ok()
}

fn is_ipv6(net: IpNet) -> bool {
    matches!(net, IpNet::V6(_))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use sys::netlink::Route;

    use crate::publish::tests::bridge;

    pub(crate) fn route(destination: &str, device: u32) -> Route {
        let net: IpNet = destination.parse().expect("net");
        Route { destination: net.addr(), prefix: net.prefix_len(), device, metric: 0 }
    }

    #[test]
    fn configured_pools_take_the_place_of_the_default_ones() {
        let pool = |base: &str, size| AddressPool { base: base.parse().expect("net"), size };
        let pools = [pool("10.200.0.0/23", 24), pool("10.201.0.0/16", 24)];
        let observed = Observed { routes: vec![route("10.200.0.0/24", 9)], ..Observed::default() };
        let first = free_subnet(&pools, &observed, &[], 0).expect("free");
        assert_eq!((first.net.to_string().as_str(), first.gateway), ("10.200.1.0/24", Some([10, 200, 1, 1].into())));
        let second = free_subnet(&pools, &observed, &[first.net], 0).expect("free");
        assert_eq!(second.net.to_string(), "10.201.0.0/24");
        assert!(matches!(free_subnet(&pools[..1], &observed, &[first.net], 0), Err(Error::NoFreeSubnet)));
        assert_eq!(free_subnet6(&pools, &observed, &[]).expect("none asked for"), None);
        let local = free_subnet6(&[pool("fd00:1::/48", 64)], &observed, &["fd00:1::/64".parse().expect("net")]);
        assert_eq!(local.expect("free").map(|subnet| subnet.net.to_string()).as_deref(), Some("fd00:1:0:1::/64"));
    }

    #[test]
    fn an_endpoint_takes_the_first_free_device_name() {
        let endpoint = EndpointId::from_bytes([0xab; 32]);
        let request = AttachRequest {
            container_id: types::ContainerId::from_bytes([1; 32]),
            container_name: "web".to_owned(),
            network: "bridge".to_owned(),
            mac: None,
            addresses: vec![],
            link_local: vec![],
            device: None,
            names: vec![],
            exposed: vec![],
            options: std::collections::BTreeMap::new(),
            is_gateway: true,
            ports: vec![],
        };
        let bridge = bridge(&[], GatewayMode::Nat);
        let present = ["lo".to_owned(), "eth0".to_owned()];
        let address = LinkAddress { address: "172.17.0.2/16".parse().expect("net"), gateway: None };
        let plan = plan_attach(&endpoint, &bridge, vec![address], &request, &present);
        assert_eq!((plan.device.as_str(), plan.host_device.as_str()), ("eth1", "vethabababababa"));
        assert_eq!(plan.mac.to_string(), "02:42:ac:11:00:02");
    }
}
