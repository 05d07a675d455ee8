//! The process side of a container.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::host::HostConfig;
use crate::Empty;
use crate::network::NetworkingConfig;
use crate::wire::is_default;

wire! {
    /// `HealthConfig`; durations in nanoseconds.
    pub struct Healthcheck {
        #[serde(skip_serializing_if = "is_default")]
        pub test: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub interval: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub timeout: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub start_period: i64,
        /// From API 1.44 on.
        #[serde(skip_serializing_if = "is_default")]
        pub start_interval: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub retries: i64,
    }

    /// `ContainerConfig`.
    pub struct Config {
        pub hostname: String,
        pub domainname: String,
        pub user: String,
        pub attach_stdin: bool,
        pub attach_stdout: bool,
        pub attach_stderr: bool,
        #[serde(skip_serializing_if = "is_default")]
        pub exposed_ports: BTreeMap<String, Empty>,
        pub tty: bool,
        pub open_stdin: bool,
        pub stdin_once: bool,
        pub env: Option<Vec<String>>,
        pub cmd: Option<Words>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub healthcheck: Option<Healthcheck>,
        #[serde(skip_serializing_if = "is_default")]
        pub args_escaped: bool,
        pub image: String,
        pub volumes: Option<BTreeMap<String, Empty>>,
        pub working_dir: String,
        pub entrypoint: Option<Words>,
        #[serde(skip_serializing_if = "is_default")]
        pub network_disabled: bool,
        #[serde(skip_serializing_if = "is_default")]
        pub mac_address: String,
        pub on_build: Option<Vec<String>>,
        pub labels: Option<BTreeMap<String, String>>,
        #[serde(skip_serializing_if = "is_default")]
        pub stop_signal: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub stop_timeout: Option<i64>,
        #[serde(skip_serializing_if = "is_default")]
        pub shell: Option<Words>,
        /// The host side, in the body of a create request only.
        #[serde(skip_serializing)]
        pub host_config: Option<Box<HostConfig>>,
        /// What the container wants of its networks, in the body of a create request only.
        #[serde(skip_serializing)]
        pub networking_config: Option<NetworkingConfig>,
    }

    /// The answer to a create request (`ContainerCreateResponse`).
    pub struct CreateResponse {
        pub id: String,
        pub warnings: Vec<String>,
    }
}

/// The body of a create request: a [`Config`] with two more members.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateRequest {
    /// The process side.
    pub config: Config,
    /// The host side.
    pub host_config: Option<HostConfig>,
    /// What the container wants of its networks.
    pub networking_config: Option<NetworkingConfig>,
}

impl<'de> Deserialize<'de> for CreateRequest {
    /// All members belong to one struct, so that whoever decodes knows all their names.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut config = Config::deserialize(from)?;
        let (host_config, networking_config) = (config.host_config.take(), config.networking_config.take());
        Ok(Self { config, host_config: host_config.map(|host| *host), networking_config })
    }
}

/// Words of a command line: a list, or one text that counts as a list of one (Docker's `strslice`).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Words(pub Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Many(Vec<String>),
            One(String),
        }
        Ok(Self(match Either::deserialize(from)? {
            Either::Many(words) => words,
            Either::One(word) => vec![word],
        }))
    }
}
