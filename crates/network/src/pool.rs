//! The addresses of one network. Pure.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::definition::{Definition, Subnet};
use crate::{Error, IpamPool, LinkAddress};

/// What is taken of each subnet of a network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pools(Vec<(Subnet, AddressPool)>);

impl Pools {
    /// The addresses of a user's network: gateways and auxiliary addresses are taken.
    pub(crate) fn of(network: &Definition) -> Self {
        Self::new(&network.name, network.subnets.iter().map(|subnet| (*subnet, network.pool(subnet))))
    }

    /// The addresses of these subnets, each with what was asked of it.
    pub(crate) fn new<'a>(name: &str, subnets: impl Iterator<Item = (Subnet, Option<&'a IpamPool>)>) -> Self {
        let make = |(subnet, asked): (Subnet, Option<&IpamPool>)| {
            let mut pool = AddressPool::new(name, subnet.net, asked.and_then(|asked| asked.range));
            let auxiliary = asked.into_iter().flat_map(|asked| asked.auxiliary.values().copied());
            // A bridge may not be the gateway of those on it.
            let own = asked.and_then(|asked| asked.gateway);
            for address in auxiliary.chain(subnet.gateway).chain(own) {
                // Checked when the network was made; one address may have two names.
                let _ = pool.reserve(address);
            }
            (subnet, pool)
        };
        Self(subnets.map(make).collect())
    }

    /// Takes one address of each family that the network has, the wanted ones where there are any; all or none.
    pub(crate) fn take(&mut self, wanted: &[IpAddr]) -> Result<Vec<LinkAddress>, Error> {
        let mut taken = Vec::new();
        for ipv6 in [false, true] {
            let wanted = wanted.iter().copied().find(|address| address.is_ipv6() == ipv6);
            match self.take_one(ipv6, wanted) {
                Ok(address) => taken.extend(address),
                Err(error) => {
                    self.release(taken.iter().map(LinkAddress::ip));
                    return Err(error);
                }
            }
        }
        Ok(taken)
    }

    /// Takes an address that a container has already.
    pub(crate) fn restore(&mut self, address: IpAddr) -> Result<(), Error> {
        let fits = |(subnet, _): &&mut (Subnet, AddressPool)| subnet.net.contains(&address);
        self.0.iter_mut().find(fits).map_or(Ok(()), |(_, pool)| pool.reserve(address).map(drop))
    }

    /// Gives addresses back.
    pub(crate) fn release(&mut self, addresses: impl Iterator<Item = IpAddr>) {
        for address in addresses {
            let fits = |(subnet, _): &&mut (Subnet, AddressPool)| subnet.net.contains(&address);
            if let Some((_, pool)) = self.0.iter_mut().find(fits) {
                pool.release(address);
            }
        }
    }

    fn take_one(&mut self, ipv6: bool, wanted: Option<IpAddr>) -> Result<Option<LinkAddress>, Error> {
        let mut family = self.0.iter_mut().filter(|(subnet, _)| matches!(subnet.net, IpNet::V6(_)) == ipv6).peekable();
        let mut full = None;
        while let Some((subnet, pool)) = family.next() {
            let fits = wanted.is_none_or(|address| subnet.net.contains(&address) || family.peek().is_none());
            if !fits {
                continue;
            }
            let taken = match wanted {
                Some(address) => pool.reserve(address),
                None => pool.take(),
            };
            match taken {
                Ok(address) => {
                    return Ok(Some(LinkAddress { address: pool.with_prefix(address), gateway: subnet.gateway }));
                }
                Err(error) => full = Some(error),
            }
        }
        full.map_or(Ok(None), Err)
    }
}

/// Which addresses of a subnet are taken. The lowest free one of the range is given next, as Docker does.
#[derive(Clone, Debug)]
pub(crate) struct AddressPool {
    network: String,
    subnet: IpNet,
    /// First and last address that may be asked for.
    hosts: (u128, u128),
    /// First and last address that is given out unasked.
    range: (u128, u128),
    taken: BTreeSet<u128>,
}

impl AddressPool {
    /// A pool with nothing taken. `network` is named in errors; `range` is the part to give out unasked.
    pub(crate) fn new(network: &str, subnet: IpNet, range: Option<IpNet>) -> Self {
        let hosts = match subnet {
            // Neither the network's nor the broadcast address; of IPv6 the first one belongs to all routers.
            IpNet::V4(_) => (number(subnet.network()) + 1, number(subnet.broadcast()).saturating_sub(1)),
            IpNet::V6(_) => (number(subnet.network()) + 1, number(subnet.broadcast())),
        };
        let range =
            range.map_or(hosts, |range| (number(range.network()).max(hosts.0), number(range.broadcast()).min(hosts.1)));
        Self { network: network.to_owned(), subnet, hosts, range, taken: BTreeSet::new() }
    }

    /// Takes the lowest free address of the range.
    pub(crate) fn take(&mut self) -> Result<IpAddr, Error> {
        let (first, last) = self.range;
        let mut candidate = first;
        for &taken in self.taken.range(first..) {
            if taken != candidate {
                break;
            }
            candidate += 1;
        }
        if candidate > last {
            return Err(match self.subnet {
                IpNet::V4(_) => Error::NoFreeAddress { family: "IPv4", network: self.network.clone() },
                IpNet::V6(_) => Error::NoFreeAddress { family: "IPv6", network: self.network.clone() },
            });
        }
        self.taken.insert(candidate);
        Ok(self.address(candidate))
    }

    /// Takes a certain address.
    pub(crate) fn reserve(&mut self, address: IpAddr) -> Result<IpAddr, Error> {
        let (first, last) = self.hosts;
        let inside = self.subnet.contains(&address) && (first..=last).contains(&number(address));
        if !inside {
            return Err(Error::AddressOutside { address, subnet: self.subnet });
        }
        if self.taken.insert(number(address)) { Ok(address) } else { Err(Error::AddressInUse(address)) }
    }

    /// Gives an address back.
    pub(crate) fn release(&mut self, address: IpAddr) {
        self.taken.remove(&number(address));
    }

    fn with_prefix(&self, address: IpAddr) -> IpNet {
        IpNet::new(address, self.subnet.prefix_len()).unwrap_or(self.subnet)
    }

    fn address(&self, number: u128) -> IpAddr {
        match self.subnet {
            IpNet::V4(_) => Ipv4Addr::from(u32::try_from(number).unwrap_or_default()).into(),
            IpNet::V6(_) => Ipv6Addr::from(number).into(),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(subnet: &str, gateway: &str) -> AddressPool {
        let mut pool = AddressPool::new("bridge", subnet.parse().expect("subnet"), None);
        pool.reserve(gateway.parse().expect("gateway")).expect("inside");
        pool
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn gives_the_lowest_free_address() {
        let mut pool = pool("172.17.0.0/16", "172.17.0.1");
        let given: Vec<_> = (0..3).map(|_| pool.take().expect("free").to_string()).collect();
        assert_eq!(given, ["172.17.0.2", "172.17.0.3", "172.17.0.4"]);
        pool.release(address("172.17.0.3"));
        assert_eq!(pool.take().expect("free").to_string(), "172.17.0.3");
        assert_eq!(pool.take().expect("free").to_string(), "172.17.0.5");
    }

    #[test]
    fn a_gateway_in_the_middle_is_skipped() {
        let mut pool = pool("10.0.0.0/29", "10.0.0.3");
        let given: Vec<_> = (0..5).map(|_| pool.take().expect("free").to_string()).collect();
        assert_eq!(given, ["10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        assert!(matches!(pool.take(), Err(Error::NoFreeAddress { .. })));
    }

    #[test]
    fn a_wanted_address_must_be_free_and_inside() {
        let mut pool = pool("10.0.0.0/24", "10.0.0.1");
        assert!(pool.reserve(address("10.0.0.9")).is_ok());
        assert!(matches!(pool.reserve(address("10.0.0.9")), Err(Error::AddressInUse(_))));
        assert!(matches!(pool.reserve(address("10.0.0.1")), Err(Error::AddressInUse(_))));
        for outside in ["10.0.0.0", "10.0.0.255", "10.0.1.1", "fd00::1"] {
            assert!(matches!(pool.reserve(address(outside)), Err(Error::AddressOutside { .. })), "{outside}");
        }
    }

    #[test]
    fn a_range_bounds_what_is_given_and_not_what_is_asked_for() {
        let range = "10.0.5.0/30".parse().expect("range");
        let mut pool = AddressPool::new("net", "10.0.0.0/16".parse().expect("subnet"), Some(range));
        let given: Vec<_> = (0..4).map(|_| pool.take().expect("free").to_string()).collect();
        assert_eq!(given, ["10.0.5.0", "10.0.5.1", "10.0.5.2", "10.0.5.3"]);
        assert!(matches!(pool.take(), Err(Error::NoFreeAddress { .. })));
        assert!(pool.reserve(address("10.0.9.9")).is_ok());
    }

    #[test]
    fn a_network_gives_one_address_of_each_family_or_none() {
        let subnet =
            |net: &str, gateway: &str| Subnet { net: net.parse().expect("net"), gateway: Some(address(gateway)) };
        let subnets = [subnet("10.0.0.0/24", "10.0.0.1"), subnet("fd00::/64", "fd00::1")];
        let mut pools = Pools::new("net", subnets.into_iter().map(|subnet| (subnet, None)));
        let shown = |taken: Vec<LinkAddress>| taken.iter().map(|t| t.address.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(pools.take(&[]).map(shown).expect("free"), "10.0.0.2/24 fd00::2/64");
        assert_eq!(pools.take(&[address("fd00::9")]).map(shown).expect("free"), "10.0.0.3/24 fd00::9/64");
        assert!(matches!(pools.take(&[address("fd00::9")]), Err(Error::AddressInUse(_))));
        assert_eq!(pools.take(&[]).map(shown).expect("free"), "10.0.0.4/24 fd00::3/64");
        pools.release([address("10.0.0.2")].into_iter());
        assert_eq!(pools.take(&[]).map(shown).expect("free"), "10.0.0.2/24 fd00::4/64");
        assert!(matches!(pools.take(&[address("10.9.0.1")]), Err(Error::AddressOutside { .. })));
    }

    #[test]
    fn ipv6_starts_behind_the_routers_address() {
        let mut pool = AddressPool::new("net", "fd00::/64".parse().expect("subnet"), None);
        assert_eq!(pool.take().expect("free").to_string(), "fd00::1");
        assert!(pool.reserve(address("fd00::f00d")).is_ok());
    }
}
