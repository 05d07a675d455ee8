//! `GET /containers/{id}/json`.

use std::collections::BTreeMap;

use super::config::Config;
use super::host::{HostConfig, PortBinding};
use crate::network::EndpointSettings;
use crate::wire::is_default;

wire! {
    /// `Health`.
    pub struct Health {
        pub status: String,
        pub failing_streak: i64,
        pub log: Option<Vec<HealthcheckResult>>,
    }

    /// `HealthcheckResult`.
    pub struct HealthcheckResult {
        pub start: String,
        pub end: String,
        pub exit_code: i64,
        pub output: String,
    }

    /// `ContainerState`.
    pub struct State {
        pub status: String,
        pub running: bool,
        pub paused: bool,
        pub restarting: bool,
        #[serde(rename = "OOMKilled")]
        pub oom_killed: bool,
        pub dead: bool,
        pub pid: i64,
        pub exit_code: i64,
        pub error: String,
        pub started_at: String,
        pub finished_at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub health: Option<Health>,
    }

    /// `DriverData` of the storage driver.
    pub struct DriverData {
        pub data: Option<BTreeMap<String, String>>,
        pub name: String,
    }

    /// `MountPoint`.
    pub struct MountPoint {
        #[serde(rename = "Type", skip_serializing_if = "is_default")]
        pub kind: String,
        #[serde(skip_serializing_if = "is_default")]
        pub name: String,
        pub source: String,
        pub destination: String,
        #[serde(skip_serializing_if = "is_default")]
        pub driver: String,
        pub mode: String,
        #[serde(rename = "RW")]
        pub rw: bool,
        pub propagation: String,
        /// Not Docker's: the source is another file by now than what the container sees.
        #[serde(skip_serializing_if = "is_default")]
        pub stale: bool,
    }

    /// `NetworkSettings`. The members from `EndpointID` on repeat the endpoint on the default bridge.
    pub struct NetworkSettings {
        pub bridge: String,
        #[serde(rename = "SandboxID")]
        pub sandbox_id: String,
        pub sandbox_key: String,
        pub ports: BTreeMap<String, Option<Vec<PortBinding>>>,
        pub hairpin_mode: bool,
        #[serde(rename = "LinkLocalIPv6Address")]
        pub link_local_ipv6_address: String,
        #[serde(rename = "LinkLocalIPv6PrefixLen")]
        pub link_local_ipv6_prefix_len: i64,
        #[serde(rename = "SecondaryIPAddresses")]
        pub secondary_ip_addresses: Option<Vec<String>>,
        #[serde(rename = "SecondaryIPv6Addresses")]
        pub secondary_ipv6_addresses: Option<Vec<String>>,
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        pub gateway: String,
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        pub mac_address: String,
        pub networks: BTreeMap<String, EndpointSettings>,
    }

    /// `ContainerInspectResponse`.
    pub struct Inspect {
        pub id: String,
        pub created: String,
        pub path: String,
        pub args: Vec<String>,
        pub state: State,
        pub image: String,
        pub resolv_conf_path: String,
        pub hostname_path: String,
        pub hosts_path: String,
        pub log_path: String,
        pub name: String,
        pub restart_count: i64,
        pub driver: String,
        pub platform: String,
        pub mount_label: String,
        pub process_label: String,
        pub app_armor_profile: String,
        #[serde(rename = "ExecIDs")]
        pub exec_ids: Option<Vec<String>>,
        pub host_config: HostConfig,
        pub graph_driver: DriverData,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub size_rw: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub size_root_fs: Option<i64>,
        pub mounts: Vec<MountPoint>,
        /// Before API 1.20: where each volume is, by its place in the container.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volumes: Option<BTreeMap<String, String>>,
        /// The same: whether it may be written to.
        #[serde(rename = "VolumesRW", skip_serializing_if = "Option::is_none")]
        pub volumes_rw: Option<BTreeMap<String, bool>>,
        pub config: Config,
        pub network_settings: NetworkSettings,
    }
}
