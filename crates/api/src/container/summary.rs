//! `GET /containers/json`.

use std::collections::BTreeMap;

use super::details::MountPoint;
use crate::network::EndpointSettings;
use crate::wire::is_default;

wire! {
    /// `Port`: one published or exposed port.
    pub struct Port {
        #[serde(rename = "IP", skip_serializing_if = "is_default")]
        pub ip: String,
        pub private_port: u16,
        #[serde(skip_serializing_if = "is_default")]
        pub public_port: u16,
        #[serde(rename = "Type")]
        pub kind: String,
    }

    /// The few members of `HostConfig` that a summary has.
    pub struct HostSummary {
        #[serde(skip_serializing_if = "is_default")]
        pub network_mode: String,
        /// From API 1.46 on.
        #[serde(skip_serializing_if = "is_default")]
        pub annotations: BTreeMap<String, String>,
    }

    /// `NetworkSettings` of a summary.
    pub struct NetworkSummary {
        pub networks: BTreeMap<String, EndpointSettings>,
    }

    /// `ContainerSummary`.
    pub struct Summary {
        pub id: String,
        pub names: Vec<String>,
        pub image: String,
        #[serde(rename = "ImageID")]
        pub image_id: String,
        pub command: String,
        pub created: i64,
        pub ports: Vec<Port>,
        #[serde(skip_serializing_if = "is_default")]
        pub size_rw: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub size_root_fs: i64,
        pub labels: BTreeMap<String, String>,
        pub state: String,
        pub status: String,
        pub host_config: HostSummary,
        pub network_settings: NetworkSummary,
        pub mounts: Vec<MountPoint>,
    }
}
