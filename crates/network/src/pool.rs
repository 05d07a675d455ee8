//! The addresses of one subnet. Pure.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::Error;

/// Which addresses of a subnet are taken. The lowest free one is given next, as Docker does.
#[derive(Clone, Debug)]
pub(crate) struct AddressPool {
    network: String,
    subnet: Ipv4Net,
    taken: BTreeSet<u32>,
}

impl AddressPool {
    /// A pool with nothing taken but the gateway. `network` is named in errors.
    pub(crate) fn new(network: &str, subnet: Ipv4Net, gateway: Ipv4Addr) -> Self {
        Self { network: network.to_owned(), subnet, taken: BTreeSet::from([u32::from(gateway)]) }
    }

    /// Takes the lowest free address.
    pub(crate) fn take(&mut self) -> Result<Ipv4Addr, Error> {
        let (first, last) = self.hosts();
        let mut candidate = first;
        for &taken in self.taken.range(first..) {
            if taken != candidate {
                break;
            }
            candidate += 1;
        }
        if candidate > last {
            return Err(Error::NoFreeAddress { network: self.network.clone() });
        }
        self.taken.insert(candidate);
        Ok(candidate.into())
    }

    /// Takes a certain address.
    pub(crate) fn reserve(&mut self, address: Ipv4Addr) -> Result<Ipv4Addr, Error> {
        let (first, last) = self.hosts();
        if !(first..=last).contains(&u32::from(address)) {
            return Err(Error::AddressOutside { address, subnet: self.subnet });
        }
        if self.taken.insert(address.into()) { Ok(address) } else { Err(Error::AddressInUse(address)) }
    }

    /// Gives an address back.
    pub(crate) fn release(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address.into());
    }

    /// First and last host address: neither the network's nor the broadcast address.
    fn hosts(&self) -> (u32, u32) {
        (u32::from(self.subnet.network()).saturating_add(1), u32::from(self.subnet.broadcast()).saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(subnet: &str, gateway: &str) -> AddressPool {
        AddressPool::new("bridge", subnet.parse().expect("subnet"), gateway.parse().expect("gateway"))
    }

    #[test]
    fn gives_the_lowest_free_address() {
        let mut pool = pool("172.17.0.0/16", "172.17.0.1");
        let given: Vec<_> = (0..3).map(|_| pool.take().expect("free").to_string()).collect();
        assert_eq!(given, ["172.17.0.2", "172.17.0.3", "172.17.0.4"]);
        pool.release("172.17.0.3".parse().expect("address"));
        assert_eq!(pool.take().expect("free").to_string(), "172.17.0.3");
        assert_eq!(pool.take().expect("free").to_string(), "172.17.0.5");
    }

    #[test]
    fn a_gateway_in_the_middle_is_skipped() {
        let mut pool = pool("10.0.0.0/29", "10.0.0.3");
        let given: Vec<_> = (0..5).map(|_| pool.take().expect("free").octets()[3]).collect();
        assert_eq!(given, [1, 2, 4, 5, 6]);
        assert!(matches!(pool.take(), Err(Error::NoFreeAddress { .. })));
    }

    #[test]
    fn a_wanted_address_must_be_free_and_inside() {
        let mut pool = pool("10.0.0.0/24", "10.0.0.1");
        let address = |text: &str| text.parse::<Ipv4Addr>().expect("address");
        assert!(pool.reserve(address("10.0.0.9")).is_ok());
        assert!(matches!(pool.reserve(address("10.0.0.9")), Err(Error::AddressInUse(_))));
        assert!(matches!(pool.reserve(address("10.0.0.1")), Err(Error::AddressInUse(_))));
        for outside in ["10.0.0.0", "10.0.0.255", "10.0.1.1"] {
            assert!(matches!(pool.reserve(address(outside)), Err(Error::AddressOutside { .. })), "{outside}");
        }
    }
}
