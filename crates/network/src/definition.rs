//! Networks that users define: what they ask for, and what is written down.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use types::NetworkId;

use crate::driver::Lease;

/// What a user asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkRequest {
    /// Name.
    pub name: String,
    /// Another network of that name is an error.
    pub unique: bool,
    /// Driver; empty for `bridge`.
    pub driver: String,
    /// No way to the outside.
    pub internal: bool,
    /// Shown only: every network of a single host can be attached to.
    pub attachable: bool,
    /// Containers get IPv4 addresses; `None` is as if it said so.
    pub ipv4: Option<bool>,
    /// Containers get IPv6 addresses too; `None` leaves it to the daemon's default.
    pub ipv6: Option<bool>,
    /// IPAM driver; empty for `default`.
    pub ipam_driver: String,
    /// Options of the IPAM driver; shown only.
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// Subnets.
    pub pools: Vec<IpamPool>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Only settings that other networks are made from.
    pub config_only: bool,
    /// The network whose settings it takes; empty for its own.
    pub config_from: String,
}

/// One subnet as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamPool {
    /// The subnet, perhaps with host bits.
    pub subnet: IpNet,
    /// Where addresses are taken from unasked.
    #[serde(default)]
    pub range: Option<IpNet>,
    /// The bridge's own address.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Addresses of others, by name: never given to a container.
    #[serde(default)]
    pub auxiliary: BTreeMap<String, IpAddr>,
}

/// What is written down about every network that a user defines, whatever its driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) id: NetworkId,
    pub(crate) name: String,
    /// RFC 3339 with nanoseconds.
    pub(crate) created: String,
    #[serde(default)]
    pub(crate) internal: bool,
    #[serde(default)]
    pub(crate) attachable: bool,
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
    pub(crate) ipam_options: Option<BTreeMap<String, String>>,
    /// As asked for.
    pub(crate) pools: Vec<IpamPool>,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// What containers get their addresses from, IPv4 first.
    #[serde(default)]
    pub(crate) subnets: Vec<Subnet>,
    /// What an IPAM plugin has given for it.
    #[serde(default)]
    pub(crate) lease: Option<Lease>,
    /// Name of the network whose settings it took.
    #[serde(default)]
    pub(crate) config_from: String,
}

/// What is written down about a user's network of the bridge driver (`network/<id>.json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserNetwork {
    #[serde(flatten)]
    pub(crate) definition: Definition,
    /// The bridge device.
    pub(crate) device: String,
    /// The device was made by us, and goes with the network.
    pub(crate) owned: bool,
}

/// A subnet of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subnet {
    /// Without host bits.
    pub(crate) net: IpNet,
    /// Where containers send what goes elsewhere; on a bridge that is its own address.
    pub(crate) gateway: Option<IpAddr>,
}

impl Subnet {
    pub(crate) fn is_ipv6(&self) -> bool {
        matches!(self.net, IpNet::V6(_))
    }
}

impl Definition {
    /// What is asked for, and was decided, under an identifier; made now.
    pub(crate) fn new(
        id: NetworkId,
        request: NetworkRequest,
        (ipv4, ipv6): (bool, bool),
        subnets: Vec<Subnet>,
        lease: Option<Lease>,
    ) -> Self {
        Self {
            id,
            name: request.name,
            created: jiff::Timestamp::now().to_string(),
            internal: request.internal,
            attachable: request.attachable,
            ipv4,
            ipv6,
            ipam_options: request.ipam_options,
            pools: request.pools,
            options: request.options,
            labels: request.labels,
            subnets,
            lease,
            config_from: request.config_from,
        }
    }

    /// Its subnets.
    pub(crate) fn nets(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.subnets.iter().map(|subnet| subnet.net)
    }

    /// The pool that was asked for and became this subnet.
    pub(crate) fn pool(&self, subnet: &Subnet) -> Option<&IpamPool> {
        self.pools.iter().find(|pool| pool.subnet.trunc() == subnet.net)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::DriverNetwork;

    /// As written before the records had a part in common.
    const BRIDGE: &str = r#"{"id":"5d6562c7f83bae932267f9946b610de8b4c103cb7b6812a702fcdf5fdcc5838a","name":"fromconf","created":"2026-11-22T04:48:38.538401306Z","internal":true,"attachable":true,"ipv4":true,"ipv6":false,"ipam_options":{"o":"p"},"pools":[{"subnet":"10.77.1.0/24","range":"10.77.1.128/25","gateway":"10.77.1.9","auxiliary":{"a":"10.77.1.10"}}],"options":{"com.docker.network.bridge.enable_icc":"false"},"labels":{"x":"y"},"device":"br-5d6562c7f83b","owned":true,"subnets":[{"net":"10.77.1.0/24","gateway":"10.77.1.9"}],"lease":null,"config_from":"conf"}"#;
    const MACVLAN: &str = r#"{"id":"804a28295321425cf9517d3b75b381092c5ace2c3ccd62b86fca7484ee9fe1d9","name":"mac","created":"2026-11-22T04:48:56.547404601Z","settings":{"driver":"macvlan","parent":{"name":"d0","owned":false},"mode":"bridge","flag":"bridge","mtu":null,"device_prefix":"eth"},"internal":false,"attachable":false,"ipv4":true,"ipv6":false,"ipam_driver":"default","ipam_options":{},"pools":[{"subnet":"10.79.0.0/24","range":null,"gateway":null,"auxiliary":{}}],"options":{"parent":"d0"},"labels":{},"config_from":"","subnets":[{"net":"10.79.0.0/24","gateway":"10.79.0.1"}],"lease":null,"made":true}"#;
    const PLUGIN: &str = r#"{"id":"35ce6bf8e695425cf9517d3b75b381092c5ace2c3ccd62b86fca7484ee9fe1d9","name":"far","created":"2026-11-22T04:48:57.547404601Z","settings":{"driver":"plugin","name":"overlay"},"internal":false,"attachable":false,"ipv4":true,"ipv6":false,"ipam_driver":"pools","ipam_options":null,"pools":[],"options":{},"labels":{},"config_from":"","subnets":[{"net":"10.80.0.0/24","gateway":null}],"lease":{"driver":"pools","space":"local","needs_mac":true,"replay":false,"pools":[{"id":"one","subnet":"10.80.0.0/24","gateway":null,"asked":null,"taken":["10.80.0.5"]}]},"made":true}"#;
    const CONFIGURATION: &str = r#"{"id":"9227c89b862b58b0b2e17f8a30740513a3d1838adc7e42578d7706fddf36f123","name":"conf","created":"2026-11-22T04:48:38.483069508Z","ipv4":true,"ipv6":false,"ipam_options":{},"pools":[{"subnet":"10.77.1.0/24","range":"10.77.1.128/25","gateway":"10.77.1.9","auxiliary":{"a":"10.77.1.10"}}],"options":{"com.docker.network.bridge.enable_icc":"false"},"labels":{"x":"y"}}"#;

    /// Reads a record and writes it again: nothing of it may be lost.
    fn read<T: Serialize + serde::de::DeserializeOwned>(text: &str) -> (T, serde_json::Value) {
        let record: T = serde_json::from_str(text).expect(text);
        let written = serde_json::to_value(&record).expect("a record");
        let before: serde_json::Value = serde_json::from_str(text).expect("JSON");
        for (key, value) in before.as_object().expect("an object") {
            assert_eq!(written.get(key), Some(value), "{key} of {text}");
        }
        (record, before)
    }

    #[test]
    fn records_of_bridges_are_read_and_written_as_ever() {
        let (record, before) = read::<UserNetwork>(BRIDGE);
        assert_eq!(serde_json::to_value(&record).expect("a record"), before);
        assert_eq!((record.device.as_str(), record.definition.subnets.len()), ("br-5d6562c7f83b", 1));
        // Those of the first daemons know neither leases nor configurations.
        let first = BRIDGE.replace(r#","lease":null,"config_from":"conf""#, "");
        assert_eq!(read::<UserNetwork>(&first).0.definition.config_from, "");
        for needed in ["id", "pools", "device"] {
            let without = BRIDGE.replace(&format!("\"{needed}\":"), "\"other\":");
            assert!(serde_json::from_str::<UserNetwork>(&without).is_err(), "{needed}");
        }
    }

    #[test]
    fn records_of_other_drivers_are_read_and_written_as_ever() {
        for text in [MACVLAN, PLUGIN] {
            let (record, before) = read::<DriverNetwork>(text);
            assert_eq!(serde_json::to_value(&record).expect("a record"), before);
        }
        let (plugin, _) = read::<DriverNetwork>(PLUGIN);
        assert_eq!(plugin.definition.lease.as_ref().map(Lease::driver), Some("pools"));
    }

    #[test]
    fn records_of_configurations_are_read_with_less_in_them() {
        let (record, _) = read::<Definition>(CONFIGURATION);
        assert!(!record.internal && record.subnets.is_empty() && record.lease.is_none());
        assert_eq!(record.pools[0].auxiliary.len(), 1);
    }
}
