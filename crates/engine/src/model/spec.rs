//! What a container is. Written once at create and never changed; status lives in [`super::state`].

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use types::{ContainerId, Digest, Platform};

use super::health::OnUnhealthy;
use super::host::HostConfig;
use super::process::ContainerConfig;

/// A decoded request to create a container.
#[derive(Clone, Debug, Default)]
pub struct CreateContainer {
    /// Wanted name without the slash; `None` lets the engine invent one.
    pub name: Option<String>,
    /// Wanted platform; `None` for the host's.
    pub platform: Option<Platform>,
    /// Process side.
    pub config: ContainerConfig,
    /// Host side.
    pub host: HostConfig,
    /// Settings by network name.
    pub endpoints: BTreeMap<String, EndpointRequest>,
    /// It carries out a step of a build and goes with it.
    pub build_step: bool,
}

/// What a container wants of one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointRequest {
    /// Fixed IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// Fixed IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Fixed MAC address (`02:42:…`); empty for one derived from the address.
    pub mac: String,
    /// Further names on that network.
    pub aliases: Vec<String>,
    /// Further addresses of link scope.
    pub link_local: Vec<IpAddr>,
    /// Who has the highest leads to the outside.
    pub gateway_priority: i64,
    /// Links on that network.
    pub links: Vec<String>,
    /// Driver options.
    pub driver_opts: BTreeMap<String, String>,
}

impl ContainerSpec {
    /// What happens when it becomes unhealthy: an annotation says it, or a label. Checked at create.
    #[must_use]
    pub fn on_unhealthy(&self) -> OnUnhealthy {
        let annotation = self.host.annotations.get(OnUnhealthy::KEY);
        let word = annotation.or_else(|| self.config.labels.get(OnUnhealthy::KEY));
        word.and_then(|word| OnUnhealthy::parse(word)).unwrap_or_default()
    }
}

/// The stored specification (`containers/<id>/config.json`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Identity.
    pub id: ContainerId,
    /// Creation time, RFC 3339 with nanoseconds, UTC.
    pub created: jiff::Timestamp,
    /// The image, by id; `None` for a container without one.
    pub image: Option<Digest>,
    /// First word of the command line (`Path`).
    pub path: String,
    /// The rest of the command line (`Args`).
    pub args: Vec<String>,
    /// Process side, merged with the image's configuration.
    pub config: ContainerConfig,
    /// Host side.
    pub host: HostConfig,
    /// Settings by network name.
    pub endpoints: BTreeMap<String, EndpointRequest>,
    /// Mount points, resolved at create (anonymous volumes have their names by now).
    pub mounts: Vec<super::details::MountPoint>,
    /// Storage driver that holds the layer.
    pub driver: String,
    /// Platform of the image.
    pub platform: Platform,
    /// It carries out a step of a build. A daemon that starts removes it: the build has ended with the earlier one.
    #[serde(default)]
    pub build_step: bool,
}
