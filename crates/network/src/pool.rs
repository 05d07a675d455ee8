//! The addresses of one subnet. Pure.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::Error;

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
    fn ipv6_starts_behind_the_routers_address() {
        let mut pool = AddressPool::new("net", "fd00::/64".parse().expect("subnet"), None);
        assert_eq!(pool.take().expect("free").to_string(), "fd00::1");
        assert!(pool.reserve(address("fd00::f00d")).is_ok());
    }
}
