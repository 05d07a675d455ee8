//! What the API shows of a network.

use std::net::Ipv4Addr;

use indexmap::IndexMap;
use ipnet::Ipv4Net;
use types::NetworkId;

use crate::bridge::Bridge;
use crate::records::{NetworkRecord, NetworkRecords};
use crate::{Error, NetworkConfig};

/// The kind of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Driver {
    /// A bridge device with NAT to the outside.
    Bridge,
    /// The host's own namespace.
    Host,
    /// A namespace with nothing but a loopback device.
    Null,
}

impl Driver {
    /// Docker's word: `bridge`, `host`, `null`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
        }
    }
}

/// One network as `network ls` and `network inspect` show it; the scope is always `local`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkInfo {
    /// Identifier; survives restarts.
    pub id: NetworkId,
    /// `bridge`, `host`, `none`.
    pub name: String,
    /// Kind.
    pub driver: Driver,
    /// RFC 3339 time of creation with nanoseconds.
    pub created: String,
    /// IPAM subnet.
    pub subnet: Option<Ipv4Net>,
    /// IPAM gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Driver options, e.g. `com.docker.network.bridge.name`.
    pub options: IndexMap<String, String>,
}

/// The predefined networks in the order of `network ls`.
pub(crate) fn networks(config: &NetworkConfig, records: &NetworkRecords, bridge: Option<&Bridge>) -> Vec<NetworkInfo> {
    let plain = |record: &NetworkRecord, name: &str, driver| NetworkInfo {
        id: record.id.clone(),
        name: name.to_owned(),
        driver,
        created: record.created.clone(),
        subnet: None,
        gateway: None,
        options: IndexMap::new(),
    };
    let bridge = bridge.map(|bridge| NetworkInfo {
        subnet: Some(bridge.subnet),
        gateway: Some(bridge.gateway),
        options: bridge_options(config, bridge),
        ..plain(&records.bridge, "bridge", Driver::Bridge)
    });
    let others = [plain(&records.host, "host", Driver::Host), plain(&records.none, "none", Driver::Null)];
    bridge.into_iter().chain(others).collect()
}

/// Finds by name, by id, by the start of an id that only one network has; `default` is Docker's word for the bridge.
pub(crate) fn find(networks: Vec<NetworkInfo>, reference: &str) -> Result<NetworkInfo, Error> {
    let name = if reference == "default" { "bridge" } else { reference };
    let exact = networks.iter().position(|network| network.name == name || network.id.as_str() == name);
    let mut starts = networks.iter().enumerate().filter(|(_, network)| network.id.as_str().starts_with(name));
    let only = match (starts.next(), starts.next()) {
        (Some((index, _)), None) if !name.is_empty() => Some(index),
        _ => None,
    };
    let index = exact.or(only).ok_or_else(|| Error::UnknownNetwork(reference.to_owned()))?;
    networks.into_iter().nth(index).ok_or_else(|| Error::UnknownNetwork(reference.to_owned()))
}

fn bridge_options(config: &NetworkConfig, bridge: &Bridge) -> IndexMap<String, String> {
    [
        ("com.docker.network.bridge.default_bridge", "true".to_owned()),
        ("com.docker.network.bridge.enable_icc", config.icc.to_string()),
        ("com.docker.network.bridge.enable_ip_masquerade", config.iptables.to_string()),
        ("com.docker.network.bridge.host_binding_ipv4", config.default_bind_ip.to_string()),
        ("com.docker.network.bridge.name", bridge.name.clone()),
        ("com.docker.network.driver.mtu", bridge.mtu.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
