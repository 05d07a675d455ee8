//! What the API shows of a network.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use types::NetworkId;

use crate::bridge::Bridge;
use crate::definition::{Definition, UserNetwork};
use crate::driver::{DEFAULT_IPAM, DriverNetwork, Lease};
use crate::records::{NetworkRecord, NetworkRecords};
use crate::{Error, IpamPool, NetworkConfig};

/// The kind of a network.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Driver {
    /// A bridge device with NAT to the outside.
    Bridge,
    /// The host's own namespace.
    Host,
    /// A namespace with nothing but a loopback device.
    Null,
    /// Devices with addresses of their own on a parent's wire.
    Macvlan,
    /// Devices that share a parent's hardware address.
    Ipvlan,
    /// A plugin, by its name.
    Plugin(String),
}

impl Driver {
    /// Docker's word, e.g. `bridge`, or the plugin's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Plugin(name) => name,
        }
    }
}

/// One network as `network ls` and `network inspect` show it; the scope is always `local`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkInfo {
    /// Identifier; survives restarts.
    pub id: NetworkId,
    /// `bridge`, `host`, `none`, or a user's.
    pub name: String,
    /// Kind.
    pub driver: Driver,
    /// Every engine has it.
    pub predefined: bool,
    /// RFC 3339 time of creation with nanoseconds.
    pub created: String,
    /// Containers get IPv4 addresses.
    pub ipv4: bool,
    /// Containers get IPv6 addresses.
    pub ipv6: bool,
    /// No way to the outside.
    pub internal: bool,
    /// As asked for.
    pub attachable: bool,
    /// IPAM driver; `default` for the daemon itself.
    pub ipam_driver: String,
    /// Options of the IPAM driver, as asked for.
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// Subnets: as asked for, or as chosen.
    pub pools: Vec<IpamPool>,
    /// The user named a subnet: containers may ask for addresses.
    pub fixed_subnet: bool,
    /// Driver options, e.g. `com.docker.network.bridge.name`.
    pub options: IndexMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Only settings that other networks are made from.
    pub config_only: bool,
    /// The network whose settings it took; empty for its own.
    pub config_from: String,
}

/// The predefined networks in the order of `network ls`.
pub(crate) fn predefined(
    config: &NetworkConfig,
    records: &NetworkRecords,
    bridge: Option<&Bridge>,
) -> Vec<NetworkInfo> {
    let plain = |record: &NetworkRecord, name: &str, driver| NetworkInfo {
        id: record.id.clone(),
        name: name.to_owned(),
        driver,
        predefined: true,
        created: record.created.clone(),
        ipv4: true,
        ipv6: false,
        internal: false,
        attachable: false,
        ipam_driver: DEFAULT_IPAM.to_owned(),
        ipam_options: None,
        pools: Vec::new(),
        fixed_subnet: false,
        options: IndexMap::new(),
        labels: BTreeMap::new(),
        config_only: false,
        config_from: String::new(),
    };
    let bridge = bridge.map(|bridge| NetworkInfo {
        pools: bridge.pools.clone(),
        ipv6: bridge.side(true).is_some(),
        options: bridge_options(config, bridge),
        ..plain(&records.bridge, "bridge", Driver::Bridge)
    });
    let others = [plain(&records.host, "host", Driver::Host), plain(&records.none, "none", Driver::Null)];
    bridge.into_iter().chain(others).collect()
}

/// A network of the bridge driver that a user has defined.
pub(crate) fn user(network: &UserNetwork) -> NetworkInfo {
    defined(&network.definition, Driver::Bridge)
}

/// One of another driver.
pub(crate) fn driver(network: &DriverNetwork) -> NetworkInfo {
    NetworkInfo { ipam_driver: network.ipam_driver.clone(), ..defined(&network.definition, network.driver()) }
}

/// A configuration-only network; like Docker's it has no driver.
pub(crate) fn configuration(network: &Definition) -> NetworkInfo {
    NetworkInfo { config_only: true, ..defined(network, Driver::Null) }
}

fn defined(network: &Definition, driver: Driver) -> NetworkInfo {
    let mut pools = network.pools.clone();
    let fixed_subnet = !pools.is_empty();
    for (at, subnet) in network.subnets.iter().enumerate().filter(|(_, subnet)| network.pool(subnet).is_none()) {
        let chosen = IpamPool { subnet: subnet.net, range: None, gateway: subnet.gateway, auxiliary: BTreeMap::new() };
        pools.insert(at.min(pools.len()), chosen);
    }
    NetworkInfo {
        id: network.id.clone(),
        name: network.name.clone(),
        driver,
        predefined: false,
        created: network.created.clone(),
        ipv4: network.ipv4,
        ipv6: network.ipv6,
        internal: network.internal,
        attachable: network.attachable,
        ipam_driver: network.lease.as_ref().map_or(DEFAULT_IPAM, Lease::driver).to_owned(),
        ipam_options: network.ipam_options.clone(),
        fixed_subnet,
        pools,
        options: network.options.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        labels: network.labels.clone(),
        config_only: false,
        config_from: network.config_from.clone(),
    }
}

/// Which of the networks, given by id and name, a reference means: by id, by name, by the start of an id that only one
/// has. `default` is Docker's word for the bridge.
pub(crate) fn find<'a>(
    networks: impl Iterator<Item = (&'a NetworkId, &'a str)> + Clone,
    reference: &str,
) -> Result<NetworkId, Error> {
    let name = if reference == "default" { "bridge" } else { reference };
    let only = |by, found: Vec<&'a NetworkId>| match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).clone())),
        several => {
            let (reference, count) = (reference.to_owned(), several.len());
            Err(Error::AmbiguousNetwork { reference, count, by })
        }
    };
    let by = |wanted: &dyn Fn(&NetworkId, &str) -> bool| -> Vec<&'a NetworkId> {
        networks.clone().filter(|(id, name)| wanted(id, name)).map(|(id, _)| id).collect()
    };
    if let Some(found) = only("on name", by(&|id, _| id.as_str() == name))? {
        return Ok(found);
    }
    if let Some(found) = only("on name", by(&|_, other| other == name))? {
        return Ok(found);
    }
    let starts = by(&|id, _| !name.is_empty() && id.as_str().starts_with(name));
    only("based on ID prefix", starts)?.ok_or_else(|| Error::UnknownNetwork(reference.to_owned()))
}

fn bridge_options(config: &NetworkConfig, bridge: &Bridge) -> IndexMap<String, String> {
    [
        ("com.docker.network.bridge.default_bridge", "true".to_owned()),
        ("com.docker.network.bridge.enable_icc", config.icc.to_string()),
        ("com.docker.network.bridge.enable_ip_masquerade", config.masquerade.to_string()),
        ("com.docker.network.bridge.host_binding_ipv4", config.default_bind_ip.to_string()),
        ("com.docker.network.bridge.name", bridge.name.clone()),
        ("com.docker.network.driver.mtu", bridge.mtu.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
