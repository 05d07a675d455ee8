//! `/images`.

use std::collections::BTreeMap;

use crate::Empty;
use crate::container::{DriverData, Healthcheck};
use crate::registry::ManifestSummary;
use crate::wire::is_default;

wire! {
    /// `ImageSummary`: an entry of `GET /images/json`.
    pub struct Summary {
        pub containers: i64,
        pub created: i64,
        pub id: String,
        pub labels: Option<BTreeMap<String, String>>,
        pub parent_id: String,
        pub repo_digests: Vec<String>,
        pub repo_tags: Vec<String>,
        pub shared_size: i64,
        pub size: i64,
        /// Up to API 1.43.
        #[serde(skip_serializing_if = "is_default")]
        pub virtual_size: i64,
        /// Only when asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub manifests: Option<Vec<ManifestSummary>>,
    }

    /// `ImageConfig`. Keys are sorted. The optional members were never set in an image but stood here up to API 1.49.
    pub struct Config {
        #[serde(skip_serializing_if = "is_default")]
        pub args_escaped: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attach_stderr: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attach_stdin: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attach_stdout: Option<bool>,
        pub cmd: Option<Vec<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub domainname: Option<String>,
        pub entrypoint: Option<Vec<String>>,
        pub env: Option<Vec<String>>,
        #[serde(skip_serializing_if = "is_default")]
        pub exposed_ports: BTreeMap<String, Empty>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub healthcheck: Option<Healthcheck>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub hostname: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image: Option<String>,
        pub labels: Option<BTreeMap<String, String>>,
        pub on_build: Option<Vec<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub open_stdin: Option<bool>,
        #[serde(skip_serializing_if = "is_default")]
        pub shell: Option<Vec<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub stdin_once: Option<bool>,
        #[serde(skip_serializing_if = "is_default")]
        pub stop_signal: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tty: Option<bool>,
        pub user: String,
        pub volumes: Option<BTreeMap<String, Empty>>,
        pub working_dir: String,
    }

    /// `RootFS` of an image.
    pub struct RootFs {
        #[serde(rename = "Type", skip_serializing_if = "is_default")]
        pub kind: String,
        #[serde(skip_serializing_if = "is_default")]
        pub layers: Vec<String>,
    }

    /// `Metadata` of an image.
    pub struct Metadata {
        pub last_tag_time: String,
    }

    /// `ImageDeleteResponseItem`: one of the two is set.
    pub struct DeleteItem {
        #[serde(skip_serializing_if = "is_default")]
        pub deleted: String,
        #[serde(skip_serializing_if = "is_default")]
        pub untagged: String,
    }

    /// `HistoryResponseItem`.
    pub struct HistoryItem {
        pub comment: String,
        pub created: i64,
        pub created_by: String,
        pub id: String,
        pub size: i64,
        pub tags: Option<Vec<String>>,
    }

    /// `ImageInspect`.
    pub struct Inspect {
        pub id: String,
        pub repo_tags: Vec<String>,
        pub repo_digests: Vec<String>,
        pub parent: String,
        pub comment: String,
        #[serde(skip_serializing_if = "is_default")]
        pub created: String,
        /// Up to API 1.44.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub container: Option<String>,
        /// Up to API 1.44.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub container_config: Option<crate::container::Config>,
        pub docker_version: String,
        pub author: String,
        pub architecture: String,
        #[serde(skip_serializing_if = "is_default")]
        pub variant: String,
        pub os: String,
        #[serde(skip_serializing_if = "is_default")]
        pub os_version: String,
        pub size: i64,
        /// Up to API 1.43.
        #[serde(skip_serializing_if = "is_default")]
        pub virtual_size: i64,
        pub graph_driver: DriverData,
        #[serde(rename = "RootFS")]
        pub root_fs: RootFs,
        pub metadata: Metadata,
        pub config: Config,
        /// Only when asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub manifests: Option<Vec<ManifestSummary>>,
    }
}
