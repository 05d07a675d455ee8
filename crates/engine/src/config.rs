//! What a daemon is told once, when it starts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use network::NetworkConfig;
use store::DriverChoice;

/// Settings of one engine. Parsed and checked by the caller; the engine reads no environment.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// What must survive a reboot (`/var/lib/gantry`).
    pub data_root: PathBuf,
    /// What may vanish at a reboot (`/run/gantry`).
    pub exec_root: PathBuf,
    /// The program that becomes a container's monitor.
    pub monitor: PathBuf,
    /// Storage driver.
    pub driver: DriverChoice,
    /// Network settings.
    pub network: NetworkConfig,
    /// Registries spoken to over plain HTTP or without a trusted certificate: hosts, `host:port`, or CIDR blocks.
    pub insecure_registries: Vec<String>,
    /// Labels of this daemon (`key=value`), shown by `info`.
    pub labels: Vec<String>,
    /// Whether containers get an init by default.
    pub init: bool,
    /// Whether `info` reports debug mode.
    pub debug: bool,
    /// Log driver of containers that name none, with its options.
    pub log_driver: (String, BTreeMap<String, String>),
    /// First of the 65536 host ids that container ids map to; `None` leaves user namespaces off.
    pub userns_remap: Option<Remap>,
}

/// Host ids that stand for a container's own (`--userns-remap`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remap {
    /// First host user id.
    pub uid: u32,
    /// First host group id.
    pub gid: u32,
    /// How many ids.
    pub size: u32,
}
