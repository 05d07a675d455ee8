//! Where the room keeps its files.
//!
//! ```text
//! <data root>/network/
//! ├── networks.json      identifiers of the predefined networks
//! ├── <id>.json          a user's network
//! ├── config/<id>.json   settings that networks are made from
//! └── driver/<id>.json   a user's network of another driver than `bridge`
//! <exec root>/netns/     a mount of its own, shared
//! └── 0123456789ab       pin of one namespace
//! ```

use std::path::{Path, PathBuf};

use types::{NetworkId, SandboxId};

use crate::NetworkConfig;

/// The record of the predefined networks.
pub(crate) fn networks_record(config: &NetworkConfig) -> PathBuf {
    config.data_root.join("network").join("networks.json")
}

/// The record of a user's network.
pub(crate) fn user_record(config: &NetworkConfig, network: &NetworkId) -> PathBuf {
    config.data_root.join("network").join(format!("{network}.json"))
}

/// The directory of the configuration-only networks.
pub(crate) fn configurations(config: &NetworkConfig) -> PathBuf {
    config.data_root.join("network").join("config")
}

/// The record of a configuration-only network.
pub(crate) fn configuration_record(config: &NetworkConfig, network: &NetworkId) -> PathBuf {
    configurations(config).join(format!("{network}.json"))
}

/// The directory of the networks of other drivers.
pub(crate) fn driver_networks(config: &NetworkConfig) -> PathBuf {
    config.data_root.join("network").join("driver")
}

/// The record of a network of another driver.
pub(crate) fn driver_record(config: &NetworkConfig, network: &NetworkId) -> PathBuf {
    driver_networks(config).join(format!("{network}.json"))
}

/// The directory of the pins.
pub(crate) fn pins(exec_root: &Path) -> PathBuf {
    exec_root.join("netns")
}

/// The pin of one namespace.
pub(crate) fn pin(exec_root: &Path, sandbox: &SandboxId) -> PathBuf {
    pins(exec_root).join(sandbox.short())
}

/// The name that stands for the host's own namespace.
pub(crate) fn host_pin(exec_root: &Path) -> PathBuf {
    pins(exec_root).join("default")
}
