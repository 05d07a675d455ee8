//! The devices that macvlan and ipvlan networks stand on: one of the host's, a VLAN on it, or one that leads nowhere.

use std::io;

use serde::{Deserialize, Serialize};
use sys::netlink::{Link, RouteSocket, Stacked};
use types::NetworkId;

use super::DriverError;
use crate::Error;
use crate::apply::DEVICE_GROUP;
use crate::gone::or_gone;
use crate::observe::Observed;

/// A parent device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parent {
    /// Device name.
    pub(crate) name: String,
    /// It was made by this engine, and goes with the last network that stands on it.
    pub(crate) owned: bool,
}

/// How to make a parent that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Recipe {
    Dummy,
    Vlan { master: String, id: u16 },
}

impl Parent {
    /// The parent of a new network. Whether its name says how to make it is told when it is made.
    pub(crate) fn plan(asked: Option<String>, network: &NetworkId, seen: &Observed) -> Self {
        let name = asked.unwrap_or_else(|| dummy(network));
        let owned = seen.link(&name).is_none();
        Self { name, owned }
    }

    /// Nobody but the network's own containers is on it.
    pub(crate) fn is_dummy_of(&self, network: &NetworkId) -> bool {
        self.name == dummy(network)
    }

    /// Sees that the device is there; returns whether it was made.
    pub(crate) fn make(&self, route: &mut RouteSocket, network: &NetworkId) -> Result<bool, Error> {
        if find(route, &self.name)?.is_some() {
            return Ok(false);
        }
        let what = || format!("failed to create {}", self.name);
        let (made, module) = match self.recipe(network)? {
            Recipe::Dummy => (route.add_dummy(&self.name, DEVICE_GROUP), "dummy"),
            Recipe::Vlan { master, id } => {
                let master = find(route, &master)?.ok_or(DriverError::NoMaster(master))?;
                (route.add_vlan(&self.name, DEVICE_GROUP, master.index, id), "8021q")
            }
        };
        match made {
            Ok(()) => Ok(true),
            // Another daemon was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) if error.raw_os_error() == Some(NOT_SUPPORTED) => {
                Err(DriverError::NoModule { what: what(), module }.into())
            }
            Err(source) => Err(Error::Device { device: self.name.clone(), action: "create", source }),
        }
    }

    fn recipe(&self, network: &NetworkId) -> Result<Recipe, DriverError> {
        if self.is_dummy_of(network) {
            return Ok(Recipe::Dummy);
        }
        let Some((master, id)) = self.name.split_once('.') else {
            return Err(DriverError::NotAVlan(self.name.clone()));
        };
        if id.contains('.') {
            return Err(DriverError::VlanFormat(self.name.clone()));
        }
        let number: i64 = id.parse().map_err(|_| DriverError::VlanId(id.to_owned()))?;
        let id = u16::try_from(number).ok().filter(|id| (1..=4094).contains(id));
        Ok(Recipe::Vlan { master: master.to_owned(), id: id.ok_or(DriverError::VlanRange(number))? })
    }

    /// Takes the device away, if it is one that we made.
    pub(crate) fn remove(&self, route: &mut RouteSocket) -> Result<(), Error> {
        let Some(link) = find(route, &self.name)?.filter(|link| self.owned && link.group == DEVICE_GROUP) else {
            return Ok(());
        };
        or_gone(route.delete_link(link.index)).map_err(|source| Error::Device {
            device: self.name.clone(),
            action: "delete",
            source,
        })
    }

    /// The device, which must be there.
    pub(crate) fn link(&self, route: &mut RouteSocket) -> Result<Link, Error> {
        find(route, &self.name)?.ok_or_else(|| DriverError::ParentGone(self.name.clone()).into())
    }
}

const NOT_SUPPORTED: i32 = rustix::io::Errno::OPNOTSUPP.raw_os_error();

/// Fails where the kernel does not have the kind of device, in words that say what to do.
pub(crate) fn check_kernel(route: &mut RouteSocket, kind: Stacked) -> Result<(), Error> {
    let module = match kind {
        Stacked::Macvlan(_) => "macvlan",
        Stacked::Ipvlan { .. } => "ipvlan",
    };
    match route.knows(kind) {
        Ok(true) => Ok(()),
        Ok(false) => Err(DriverError::NoModule { what: format!("failed to create the {module} port"), module }.into()),
        Err(source) => Err(Error::Netlink { action: "ask for a kind of device", source }),
    }
}

/// A name that no device can have is that of none.
fn find(route: &mut RouteSocket, name: &str) -> Result<Option<Link>, Error> {
    if !(1..=15).contains(&name.len()) {
        return Ok(None);
    }
    route.link(name).map_err(|source| Error::Device { device: name.to_owned(), action: "find", source })
}

fn dummy(network: &NetworkId) -> String {
    format!("dm-{}", network.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_parent_says_how_to_make_it() {
        let network = NetworkId::from_bytes([0xab; 32]);
        let recipe = |name: &str| {
            let parent = Parent { name: name.to_owned(), owned: true };
            parent.recipe(&network).map_err(|error| error.to_string())
        };
        assert_eq!(recipe("dm-abababababab"), Ok(Recipe::Dummy));
        assert_eq!(recipe("eth0.50"), Ok(Recipe::Vlan { master: "eth0".to_owned(), id: 50 }));
        for (name, error) in [
            ("eth9", "invalid subinterface vlan name eth9, example formatting is eth0.10"),
            ("eth0.4095", "vlan id must be between 1-4094, received: 4095"),
            ("eth0.0", "vlan id must be between 1-4094, received: 0"),
            ("eth0.x", "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)"),
            (
                "eth0.1.2",
                "required interface name format is: name.vlan_tag, ex. eth0.10 for vlan 10, instead received eth0.1.2",
            ),
        ] {
            assert_eq!(recipe(name).expect_err(name), error);
        }
    }
}
