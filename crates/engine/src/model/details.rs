//! What the engine tells about containers; the server turns it into Docker's shapes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use types::{ContainerId, Digest, ExecId};

use super::health::Health;
use super::process::{ExecConfig, PortKey};
use super::spec::{ContainerSpec, EndpointRequest};
use super::state::ContainerState;
use crate::id_mapping::Idmap;

/// One mount point of a container (Docker's `MountPoint`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPoint {
    /// `bind`, `volume`, `tmpfs` or `image`.
    pub kind: String,
    /// Volume name, or the image's name as requested; empty otherwise.
    pub name: String,
    /// Path on the host; empty for tmpfs.
    pub source: String,
    /// Path in the container.
    pub destination: String,
    /// `local` for volumes; empty otherwise.
    pub driver: String,
    /// Mode words as requested.
    pub mode: String,
    /// Whether writes are possible.
    pub rw: bool,
    /// Mount propagation (`rprivate` for binds; empty for volumes).
    pub propagation: String,
    /// Whether the volume was made for this container and goes with `rm -v`.
    pub anonymous: bool,
    /// Whether image content is copied into the volume while that is empty.
    pub copy_up: bool,
    /// Further mount options (tmpfs size and mode, `bind` instead of `rbind`).
    pub options: Vec<String>,
    /// The part of the volume or image that is mounted; empty for all.
    #[serde(default)]
    pub subpath: String,
    /// What an image mount shows.
    #[serde(default)]
    pub image: Option<MountedImage>,
}

impl MountPoint {
    /// How the ids of a bind are mapped; `None` when they are not.
    pub(crate) fn idmap(&self) -> Option<Idmap> {
        self.options.iter().find_map(|word| Idmap::parse(word).ok().flatten())
    }
}

/// An image that is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountedImage {
    /// The image; it may be gone meanwhile, its layers are not.
    pub id: Digest,
    /// Chain of its topmost layer; `None` for an image without layers.
    pub top: Option<Digest>,
}

/// A live endpoint on one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSettings {
    /// Network id.
    pub network_id: String,
    /// Endpoint id; empty while not running.
    pub endpoint_id: String,
    /// IPv4 address; empty while not running.
    pub ip: String,
    /// Prefix length of the address.
    pub prefix_len: u8,
    /// Gateway; empty while not running.
    pub gateway: String,
    /// MAC address; empty while not running.
    pub mac: String,
    /// The IPv6 side; `None` while not running, and without IPv6.
    pub ipv6: Option<network::LinkAddress>,
    /// As asked for.
    pub request: EndpointRequest,
    /// Aliases on that network.
    pub aliases: Vec<String>,
    /// Names the network's DNS answers for.
    pub dns_names: Vec<String>,
}

/// Everything about one container (`inspect`).
#[derive(Clone, Debug)]
pub struct ContainerDetails {
    /// The immutable part.
    pub spec: Arc<ContainerSpec>,
    /// Present name without the slash.
    pub name: String,
    /// Present state.
    pub state: ContainerState,
    /// What its health check has shown; `None` without one, or before the first start.
    pub health: Option<Arc<Health>>,
    /// Automatic restarts so far.
    pub restart_count: u32,
    /// When the last run that ended did so.
    pub finished_at: Option<jiff::Timestamp>,
    /// It ran out of memory in the present run.
    pub out_of_memory: bool,
    /// Running execs.
    pub exec_ids: Vec<ExecId>,
    /// Path of `resolv.conf` on the host; empty without a network of its own.
    pub resolv_conf_path: PathBuf,
    /// Path of `hostname` on the host.
    pub hostname_path: PathBuf,
    /// Path of `hosts` on the host.
    pub hosts_path: PathBuf,
    /// Path of the log file; empty without one.
    pub log_path: PathBuf,
    /// Destinations of binds whose source is another file by now than what the running container sees: something was
    /// renamed over it, removed, or mounted there.
    pub stale_binds: Vec<String>,
    /// Live endpoints by network name.
    pub networks: BTreeMap<String, EndpointSettings>,
    /// Published ports: host address and port by container port; exposed ones have an empty list.
    pub ports: BTreeMap<PortKey, Vec<(String, u16)>>,
    /// Links on the default bridge, as `/name:/parent/alias`.
    pub links: Vec<String>,
    /// Network namespace, while running.
    pub sandbox_key: PathBuf,
    /// Sandbox id, while running.
    pub sandbox_id: String,
    /// `LowerDir`, `MergedDir`, `UpperDir`, `WorkDir` of the storage driver.
    pub graph_driver: BTreeMap<String, String>,
    /// Bytes in the writable layer and in all layers, when asked for.
    pub size: Option<(u64, u64)>,
}

/// One line of `ps`; the same data in less detail.
#[derive(Clone, Debug)]
pub struct ContainerSummary {
    /// The immutable part.
    pub spec: Arc<ContainerSpec>,
    /// Present name without the slash.
    pub name: String,
    /// Present state.
    pub state: ContainerState,
    /// As in [`ContainerDetails`].
    pub health: Option<Arc<Health>>,
    /// The image as it should be shown: the requested name, or the id when the name now means another image.
    pub image: String,
    /// Live endpoints by network name.
    pub networks: BTreeMap<String, EndpointSettings>,
    /// Names that linking containers gave it: `parent/alias`.
    pub given_names: Vec<String>,
    /// Published ports, as in [`ContainerDetails`].
    pub ports: BTreeMap<PortKey, Vec<(String, u16)>>,
    /// Bytes in the writable layer and in all layers, when asked for.
    pub size: Option<(u64, u64)>,
}

/// What `top` shows.
#[derive(Clone, Debug)]
pub struct ProcessList {
    /// Column titles.
    pub titles: Vec<String>,
    /// One row a process.
    pub processes: Vec<Vec<String>>,
}

/// One exec (`GET /exec/{id}/json`).
#[derive(Clone, Debug)]
pub struct ExecDetails {
    /// Identity.
    pub id: ExecId,
    /// Its container.
    pub container: ContainerId,
    /// As requested.
    pub config: ExecConfig,
    /// Pid on the host; 0 before the start.
    pub pid: i32,
    /// Whether it runs now.
    pub running: bool,
    /// Exit code once it has ended.
    pub exit_code: Option<i32>,
    /// Whether it could be started again (never after a start).
    pub can_remove: bool,
}
