//! One container's place on one network.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use types::{ContainerId, EndpointId, NetworkId, SandboxId};

use crate::{DriverEndpoint, MacAddress, PortBinding, PortRequest, Protocol};

/// What to attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachRequest {
    /// The container.
    pub container_id: ContainerId,
    /// Its name without the slash; appears in error texts only.
    pub container_name: String,
    /// Name or id of the network.
    pub network: String,
    /// Hardware address; `None` derives it from the address.
    pub mac: Option<MacAddress>,
    /// Wanted addresses, one of a family at most; without one the next free is taken.
    pub addresses: Vec<IpAddr>,
    /// Further addresses of link scope.
    pub link_local: Vec<IpAddr>,
    /// Name of the device in the container; `None` takes the next free one.
    pub device: Option<String>,
    /// Names by which others on a user's network find it, the container's own first. Unused on the default bridge.
    pub names: Vec<String>,
    /// Make this network the way to the outside: default route, and published ports.
    pub is_gateway: bool,
    /// Ports that it offers, which a plugin may want to know of.
    pub exposed: Vec<(Protocol, u16)>,
    /// Options for a plugin.
    pub options: BTreeMap<String, String>,
    /// Ports to publish on the host.
    pub ports: Vec<PortRequest>,
}

/// All that was done for one endpoint: enough to show it, to undo it, and to render the firewall again after a restart.
///
/// The engine stores it in the container's state and hands it back to `Network::open` and `Network::detach`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// The network.
    pub network_id: NetworkId,
    /// The network's name (`bridge`, `host`, `none`).
    pub network_name: String,
    /// The container.
    pub container_id: ContainerId,
    /// The namespace it lives in.
    pub sandbox_id: SandboxId,
    /// The namespace's pin, e.g. `/run/gantry/netns/0123456789ab`.
    pub sandbox_key: PathBuf,
    /// Link and address; `None` on `host` and `none`.
    pub link: Option<LinkRecord>,
    /// What another driver than `bridge` did beyond that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverEndpoint>,
    /// What is published, with the ports that were chosen.
    #[serde(default)]
    pub ports: Vec<PortBinding>,
    /// Names on a user's network; empty on the default ones.
    #[serde(default)]
    pub names: Vec<String>,
    /// The default route leads through it. Records of the time of one network a container do not say so.
    #[serde(default = "yes")]
    pub is_gateway: bool,
}

fn yes() -> bool {
    true
}

/// The link and the addresses of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// Device name on the host, e.g. `veth0123abc`.
    pub host_device: String,
    /// Device name in the container, e.g. `eth0`.
    pub device: String,
    /// Hardware address in the container.
    pub mac: MacAddress,
    /// Addresses in the container, one of a family at most, that of IPv4 first.
    pub addresses: Vec<LinkAddress>,
}

/// An address of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkAddress {
    /// The address, with the prefix length of the network.
    pub address: IpNet,
    /// What the default route leads to when this network is the way out.
    pub gateway: Option<IpAddr>,
}

impl LinkRecord {
    /// The IPv4 side.
    #[must_use]
    pub fn ipv4(&self) -> Option<&LinkAddress> {
        self.addresses.iter().find(|own| matches!(own.address, IpNet::V4(_)))
    }

    /// The IPv6 side.
    #[must_use]
    pub fn ipv6(&self) -> Option<&LinkAddress> {
        self.addresses.iter().find(|own| matches!(own.address, IpNet::V6(_)))
    }

    /// The addresses alone, that of IPv4 first.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().map(LinkAddress::ip)
    }
}

impl LinkAddress {
    /// The address alone.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.address.addr()
    }
}
