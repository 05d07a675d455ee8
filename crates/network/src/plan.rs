//! What to do, decided without doing it. Pure.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use sys::netlink::Address;
use types::EndpointId;

use crate::bridge::Bridge;
use crate::config::{AddressPool, DefaultBridge};
use crate::definition::UserNetwork;
use crate::observe::Observed;
use crate::{AttachRequest, Error, Ipv6Link, MacAddress};

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
    /// Its address, and so the gateway of the containers.
    pub(crate) address: Ipv4Net,
    /// The address must be added.
    pub(crate) add_address: bool,
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
    pub(crate) address: Ipv4Addr,
    pub(crate) ipv6: Option<Ipv6Link>,
    pub(crate) link_local: Vec<IpAddr>,
    /// The default route leads through it.
    pub(crate) is_gateway: bool,
    /// The container may reach itself by a published port.
    pub(crate) hairpin: bool,
}

/// Decides what the default bridge needs; `None` when there is to be none. `previous` is the address that the bridge
/// had for endpoints that still exist.
pub(crate) fn plan_bridge(
    wanted: &DefaultBridge,
    mtu: Option<u32>,
    previous: Option<Ipv4Net>,
    observed: &Observed,
    pools: &[AddressPool],
) -> Result<Option<BridgePlan>, Error> {
    let (name, bip, owned) = match wanted {
        DefaultBridge::Owned { name, bip } => (name, *bip, true),
        DefaultBridge::Existing { name } => (name, None, false),
        DefaultBridge::Disabled => return Ok(None),
    };
    let link = observed.link(name);
    match link {
        Some(link) if link.kind != "bridge" => return Err(Error::NotABridge(name.clone())),
        None if !owned => return Err(Error::BridgeMissing(name.clone())),
        _ => {}
    }
    let index = link.map_or(0, |link| link.index);
    let present: Vec<Address> =
        observed.addresses.iter().copied().filter(|a| index != 0 && a.device == index).collect();
    let address = match (bip, present.first()) {
        (Some(bip), _) => bip,
        (None, Some(first)) => Ipv4Net::new(first.address, first.prefix).unwrap_or_default(),
        (None, None) if owned => previous.map_or_else(|| free_subnet(pools, observed, &[], index), Ok)?,
        (None, None) => return Err(Error::BridgeWithoutAddress(name.clone())),
    };
    let is_wanted = |a: &Address| a.address == address.addr() && a.prefix == address.prefix_len();
    let mtu = mtu.or_else(|| observed.outside_mtu()).unwrap_or(DEFAULT_MTU);
    Ok(Some(BridgePlan {
        name: name.clone(),
        create: link.is_none(),
        index,
        address,
        add_address: !present.iter().any(is_wanted),
        remove_addresses: if bip.is_some() { present.into_iter().filter(|a| !is_wanted(a)).collect() } else { vec![] },
        mtu,
        set_mtu: owned && link.is_some_and(|link| link.mtu != mtu),
    }))
}

/// Decides what the bridge of a user's network needs.
pub(crate) fn plan_user_bridge(
    network: &UserNetwork,
    mtu: Option<u32>,
    observed: &Observed,
) -> Result<BridgePlan, Error> {
    let link = observed.link(&network.device);
    if link.is_some_and(|link| link.kind != "bridge") {
        return Err(Error::NotABridge(network.device.clone()));
    }
    let index = link.map_or(0, |link| link.index);
    let address = Ipv4Net::new(network.gateway, network.subnet.prefix_len()).unwrap_or(network.subnet);
    let present = observed.addresses.iter().filter(|a| index != 0 && a.device == index);
    let mtu = mtu.or_else(|| observed.outside_mtu()).unwrap_or(DEFAULT_MTU);
    Ok(BridgePlan {
        name: network.device.clone(),
        create: link.is_none(),
        index,
        address,
        add_address: !present.clone().any(|a| a.address == address.addr() && a.prefix == address.prefix_len()),
        remove_addresses: Vec::new(),
        mtu,
        set_mtu: network.owned && link.is_some_and(|link| link.mtu != mtu),
    })
}

/// Decides names and the hardware address of an endpoint. `present` are the devices of the container's namespace.
pub(crate) fn plan_attach(
    endpoint: &EndpointId,
    bridge: &Bridge,
    (address, ipv6): (Ipv4Addr, Option<Ipv6Link>),
    request: &AttachRequest,
    present: &[String],
) -> AttachPlan {
    let numbered = || (0..).map(|n| format!("{}{n}", bridge.device_prefix)).find(|name| !present.contains(name));
    AttachPlan {
        host_device: host_device(endpoint),
        device: request.device.clone().or_else(numbered).unwrap_or_default(),
        mac: request.mac.unwrap_or_else(|| MacAddress::from_address(address)),
        address,
        ipv6,
        link_local: request.link_local.clone(),
        is_gateway: request.is_gateway && !bridge.internal,
        hairpin: !request.ports.is_empty(),
    }
}

/// The name of an endpoint's device on the host: 15 bytes are the kernel's limit.
pub(crate) fn host_device(endpoint: &EndpointId) -> String {
    format!("veth{}", &endpoint.as_str()[..11])
}

/// The configured pools, or Docker's default ones, in their order, first host as the gateway: the first that no route, address or other network
/// overlaps.
pub(crate) fn free_subnet(
    configured: &[AddressPool],
    observed: &Observed,
    others: &[Ipv4Net],
    bridge: u32,
) -> Result<Ipv4Net, Error> {
    let large = (17..32).map(|second| (Ipv4Addr::new(172, second, 0, 1), 16));
    let small = (0..16).map(|third| (Ipv4Addr::new(192, 168, third * 16, 1), 20));
    let taken: Vec<Ipv4Net> = observed
        .routes
        .iter()
        .filter(|route| route.prefix > 0 && route.device != bridge)
        .map(|route| (route.destination, route.prefix))
        .chain(observed.addresses.iter().filter(|a| a.device != bridge).map(|a| (a.address, a.prefix)))
        .filter_map(|(address, prefix)| Ipv4Net::new(address, prefix).ok().map(|net| net.trunc()))
        .chain(others.iter().copied())
        .collect();
    let overlaps = |pool: &Ipv4Net| taken.iter().any(|net| net.contains(&pool.trunc()) || pool.trunc().contains(net));
    let pools = large.chain(small).filter_map(|(gateway, prefix)| Ipv4Net::new(gateway, prefix).ok());
    let found = if configured.is_empty() {
        pools.into_iter().find(|pool| !overlaps(pool))
    } else {
        configured.iter().flat_map(|pool| cut(*pool)).find(|pool| !overlaps(pool))
    };
    found.ok_or(Error::NoFreeSubnet)
}

/// The networks of a pool, each with its first host as the gateway.
fn cut(pool: AddressPool) -> impl Iterator<Item = Ipv4Net> {
    let subnets = pool.base.trunc().subnets(pool.size).into_iter().flatten();
    subnets.filter_map(|subnet| Ipv4Net::new(subnet.hosts().next()?, subnet.prefix_len()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::netlink::{Link, Route};

    fn owned(bip: Option<&str>) -> DefaultBridge {
        DefaultBridge::Owned { name: "br".to_owned(), bip: bip.map(|text| text.parse().expect("net")) }
    }

    fn plan(wanted: &DefaultBridge, observed: &Observed) -> BridgePlan {
        plan_bridge(wanted, None, None, observed, &[]).expect("a plan").expect("a bridge")
    }

    fn bridge(index: u32, mtu: u32) -> Link {
        Link { index, name: "br".to_owned(), kind: "bridge".to_owned(), mtu, ..Link::default() }
    }

    fn route(destination: &str, device: u32) -> Route {
        let net: Ipv4Net = destination.parse().expect("net");
        Route { destination: net.addr(), prefix: net.prefix_len(), device, metric: 0 }
    }

    #[test]
    fn a_new_bridge_takes_the_first_pool_and_the_uplink_s_mtu() {
        let eth0 = Link { index: 2, name: "eth0".to_owned(), mtu: 1400, ..Link::default() };
        let observed = Observed { links: vec![eth0], routes: vec![route("0.0.0.0/0", 2)], ..Observed::default() };
        let plan = plan(&owned(None), &observed);
        assert_eq!(plan.address.to_string(), "172.17.0.1/16");
        assert_eq!((plan.create, plan.add_address, plan.mtu, plan.set_mtu), (true, true, 1400, false));
    }

    #[test]
    fn pools_that_overlap_a_route_or_an_address_are_passed_over() {
        let address = Address { device: 9, address: [172, 19, 3, 4].into(), prefix: 24 };
        let routes = vec![route("172.17.0.0/16", 9), route("172.18.5.0/24", 9)];
        let observed = Observed { routes, addresses: vec![address], ..Observed::default() };
        assert_eq!(plan(&owned(None), &observed).address.to_string(), "172.20.0.1/16");
        let observed = Observed { routes: vec![route("172.16.0.0/12", 9)], ..Observed::default() };
        assert_eq!(plan(&owned(None), &observed).address.to_string(), "192.168.0.1/20");
        let routes = vec![route("172.16.0.0/12", 9), route("192.168.0.0/16", 9)];
        let observed = Observed { routes, ..Observed::default() };
        assert!(matches!(plan_bridge(&owned(None), None, None, &observed, &[]), Err(Error::NoFreeSubnet)));
    }

    #[test]
    fn configured_pools_take_the_place_of_the_default_ones() {
        let pool = |base: &str, size| AddressPool { base: base.parse().expect("net"), size };
        let pools = [pool("10.200.0.0/23", 24), pool("10.201.0.0/16", 24)];
        let observed = Observed { routes: vec![route("10.200.0.0/24", 9)], ..Observed::default() };
        let first = free_subnet(&pools, &observed, &[], 0).expect("free");
        assert_eq!(first.to_string(), "10.200.1.1/24");
        let second = free_subnet(&pools, &observed, &[first.trunc()], 0).expect("free");
        assert_eq!(second.to_string(), "10.201.0.1/24");
        assert!(matches!(free_subnet(&pools[..1], &observed, &[first.trunc()], 0), Err(Error::NoFreeSubnet)));
    }

    #[test]
    fn an_existing_bridge_keeps_its_address_unless_another_is_asked_for() {
        let address = Address { device: 5, address: [10, 9, 0, 1].into(), prefix: 24 };
        let observed = Observed { links: vec![bridge(5, 1500)], addresses: vec![address], ..Observed::default() };
        let kept = plan(&owned(None), &observed);
        assert_eq!((kept.address.to_string().as_str(), kept.add_address, kept.create), ("10.9.0.1/24", false, false));
        let changed = plan(&owned(Some("10.8.0.1/24")), &observed);
        assert_eq!((changed.add_address, changed.remove_addresses), (true, vec![address]));
    }

    #[test]
    fn a_foreign_device_must_be_a_bridge_with_an_address() {
        let wanted = DefaultBridge::Existing { name: "br".to_owned() };
        let none = Observed::default();
        assert!(matches!(plan_bridge(&wanted, None, None, &none, &[]), Err(Error::BridgeMissing(_))));
        let bare = Observed { links: vec![bridge(5, 1500)], ..Observed::default() };
        assert!(matches!(plan_bridge(&wanted, None, None, &bare, &[]), Err(Error::BridgeWithoutAddress(_))));
        let dummy = Observed { links: vec![Link { kind: "dummy".to_owned(), ..bridge(5, 1500) }], ..none };
        assert!(matches!(plan_bridge(&wanted, None, None, &dummy, &[]), Err(Error::NotABridge(_))));
        assert_eq!(plan_bridge(&DefaultBridge::Disabled, None, None, &bare, &[]).expect("a plan"), None);
    }

    #[test]
    fn an_endpoint_takes_the_first_free_device_name() {
        let endpoint = EndpointId::from_bytes([0xab; 32]);
        let request = AttachRequest {
            container_id: types::ContainerId::from_bytes([1; 32]),
            container_name: "web".to_owned(),
            network: "bridge".to_owned(),
            mac: None,
            address: None,
            ipv6: None,
            link_local: vec![],
            device: None,
            names: vec![],
            is_gateway: true,
            ports: vec![],
        };
        let bridge = Bridge {
            id: types::NetworkId::from_bytes([2; 32]),
            network: "bridge".to_owned(),
            name: "br".to_owned(),
            index: 1,
            subnet: "172.17.0.0/16".parse().expect("subnet"),
            gateway: [172, 17, 0, 1].into(),
            subnet6: None,
            mtu: 1500,
            icc: true,
            isolate: false,
            internal: false,
            masquerade: true,
            bind_ip: Ipv4Addr::UNSPECIFIED,
            device_prefix: "eth".to_owned(),
        };
        let present = ["lo".to_owned(), "eth0".to_owned()];
        let plan = plan_attach(&endpoint, &bridge, ([172, 17, 0, 2].into(), None), &request, &present);
        assert_eq!((plan.device.as_str(), plan.host_device.as_str()), ("eth1", "vethabababababa"));
        assert_eq!(plan.mac.to_string(), "02:42:ac:11:00:02");
    }
}
