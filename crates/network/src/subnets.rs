//! The subnets of a new network: those asked for, or one for each family that it has. Pure but for random bytes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::definition::Subnet;
use crate::observe::Observed;
use crate::plan::{free_subnet, free_subnet6, overlap};
use crate::pool::AddressPool;
use crate::{Error, IpamPool, NetworkRequest, config, random};

/// What a driver makes of one family.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Family {
    /// The network has it. What is asked for in a family that it has not is checked all the same.
    pub(crate) has: bool,
    /// There may be only one subnet of it.
    pub(crate) single: bool,
    /// Only who asks for a gateway gets one.
    pub(crate) skips_gateway: bool,
    /// What the network's device has already, for a request that names no subnet.
    pub(crate) present: Option<Subnet>,
}

/// Decides. `families` has IPv4 first; `pools` are those that the daemon was told to cut subnets from, `taken` the
/// subnets of other networks.
pub(crate) fn plan_subnets(
    request: &NetworkRequest,
    families: [Family; 2],
    pools: &[config::AddressPool],
    seen: &Observed,
    mut taken: Vec<IpNet>,
) -> Result<Vec<Subnet>, Error> {
    let mut subnets = Vec::new();
    for (ipv6, family) in [false, true].into_iter().zip(families) {
        let asked = asked(request, ipv6, family, &mut taken)?;
        if !family.has {
            continue;
        }
        if asked.is_empty() {
            let free = || free(ipv6, pools, seen, &taken);
            let mut chosen = family.present.map_or_else(free, Ok)?;
            chosen.gateway = chosen.gateway.filter(|_| !family.skips_gateway);
            subnets.push(chosen);
        }
        subnets.extend(asked);
    }
    Ok(subnets)
}

/// The subnets that were asked for in a family; they are taken from then on.
fn asked(request: &NetworkRequest, ipv6: bool, family: Family, taken: &mut Vec<IpNet>) -> Result<Vec<Subnet>, Error> {
    let asked: Vec<_> = request.pools.iter().filter(|pool| pool.subnet.addr().is_ipv6() == ipv6).collect();
    if family.single && asked.len() > 1 {
        return Err(Error::SeveralSubnets);
    }
    let mut subnets = Vec::with_capacity(asked.len());
    for pool in asked {
        let gateway = gateway_of(&request.name, pool)?;
        let net = pool.subnet.trunc();
        if taken.iter().any(|other| overlap(other, &net)) {
            return Err(Error::PoolOverlaps);
        }
        taken.push(net);
        subnets.push(Subnet { net, gateway: if family.skips_gateway { pool.gateway } else { Some(gateway) } });
    }
    Ok(subnets)
}

fn free(ipv6: bool, pools: &[config::AddressPool], seen: &Observed, taken: &[IpNet]) -> Result<Subnet, Error> {
    if ipv6 {
        free_subnet6(pools, seen, taken)?.map_or_else(random::local_subnet, Ok)
    } else {
        free_subnet(pools, seen, taken, u32::MAX)
    }
}

/// Checks a pool; its gateway is the one asked for, or the first free address.
fn gateway_of(name: &str, asked: &IpamPool) -> Result<IpAddr, Error> {
    let bad = |what: &str, reason: &str| Error::BadPool(format!("invalid {what}: {reason}"));
    let subnet = asked.subnet.trunc();
    if matches!(subnet, IpNet::V4(_)) && subnet.prefix_len() > 30 {
        return Err(bad(&format!("subnet {subnet}"), "it leaves no address for a gateway and a container"));
    }
    if let Some(range) = asked.range.filter(|range| !subnet.contains(&range.trunc())) {
        let reason = format!("it does not belong to subnet {subnet}");
        return Err(bad(&format!("ip-range {range}"), &reason));
    }
    let mut pool = AddressPool::new(name, subnet, asked.range);
    let mut names: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for (name, address) in &asked.auxiliary {
        if names.insert(*address, name).is_none() && pool.reserve(*address).is_err() {
            let reason = "Requested address is out of range";
            return Err(Error::BadPool(format!(
                "failed to allocate secondary ip address ({name}:{address}): {reason}"
            )));
        }
    }
    match asked.gateway {
        None => pool.take(),
        Some(gateway) => pool.reserve(gateway).map_err(|error| {
            let reason = match error {
                Error::AddressInUse(_) => "Address already in use",
                _ => "Requested address is out of range",
            };
            Error::BadPool(format!("failed to allocate gateway ({gateway}): {reason}"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAS: Family = Family { has: true, single: false, skips_gateway: false, present: None };
    const NOT: Family = Family { has: false, ..HAS };

    fn plan(asked: &[&str], families: [Family; 2], taken: &[&str]) -> Result<Vec<String>, Error> {
        let net = |text: &&str| text.parse::<IpNet>().expect("net");
        let pool = |text| IpamPool { subnet: net(text), range: None, gateway: None, auxiliary: BTreeMap::new() };
        let request = NetworkRequest { pools: asked.iter().map(pool).collect(), ..NetworkRequest::default() };
        let taken = taken.iter().map(net).collect();
        let subnets = plan_subnets(&request, families, &[], &Observed::default(), taken)?;
        let gateway = |subnet: &Subnet| subnet.gateway.map_or("none".to_owned(), |gateway| gateway.to_string());
        Ok(subnets.iter().map(|subnet| format!("{} by {}", subnet.net, gateway(subnet))).collect())
    }

    #[test]
    fn asked_for_or_one_of_each_family() {
        let one = |asked: &[&str], families| plan(asked, families, &["172.17.0.0/16"]).expect("subnets").join(", ");
        assert_eq!(one(&[], [HAS, NOT]), "172.18.0.0/16 by 172.18.0.1");
        assert_eq!(
            one(&["fd00:1::/64", "10.1.0.9/24"], [HAS, HAS]),
            "10.1.0.0/24 by 10.1.0.1, fd00:1::/64 by fd00:1::1"
        );
        assert_eq!(
            one(&["10.1.0.0/24", "10.2.0.0/24"], [HAS, NOT]),
            "10.1.0.0/24 by 10.1.0.1, 10.2.0.0/24 by 10.2.0.1"
        );
        assert_eq!(one(&["10.1.0.0/24", "fd00:1::/64"], [NOT, HAS]), "fd00:1::/64 by fd00:1::1");
        let local = one(&[], [NOT, HAS]);
        assert!(local.starts_with("fd") && local.ends_with("::1"), "{local}");
        let present = Some(Subnet { net: "10.3.0.0/24".parse().expect("net"), gateway: Some([10, 3, 0, 7].into()) });
        assert_eq!(one(&[], [Family { present, ..HAS }, NOT]), "10.3.0.0/24 by 10.3.0.7");
        assert_eq!(one(&["10.1.0.0/24"], [Family { present, ..HAS }, NOT]), "10.1.0.0/24 by 10.1.0.1");
        let skips = Family { skips_gateway: true, ..HAS };
        assert_eq!(one(&["10.1.0.0/24"], [skips, NOT]), "10.1.0.0/24 by none");
        assert_eq!(one(&[], [skips, NOT]), "172.18.0.0/16 by none");
    }

    #[test]
    fn what_cannot_be_is_refused_in_a_family_too_that_the_network_has_not() {
        let single = Family { single: true, ..HAS };
        let two = ["10.1.0.0/24", "10.2.0.0/24"];
        assert!(matches!(plan(&two, [single, NOT], &[]), Err(Error::SeveralSubnets)));
        assert!(matches!(plan(&["10.1.0.0/24"], [NOT, HAS], &["10.0.0.0/8"]), Err(Error::PoolOverlaps)));
        assert!(matches!(plan(&["10.1.0.0/16", "10.1.1.0/24"], [HAS, NOT], &[]), Err(Error::PoolOverlaps)));
        assert!(matches!(plan(&["10.1.0.0/31"], [HAS, NOT], &[]), Err(Error::BadPool(_))));
    }
}
