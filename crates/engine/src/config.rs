//! What a daemon is told: once, when it starts ([`EngineConfig`]), and again while it runs ([`LiveConfig`]).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use network::NetworkConfig;
use store::DriverChoice;

use crate::model::{NamespaceMode, Ulimit};

/// Settings of one engine. Parsed and checked by the caller; the engine reads no environment.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// What must survive a reboot (`/var/lib/gantry`).
    pub data_root: PathBuf,
    /// What may vanish at a reboot (`/run/gantry`).
    pub exec_root: PathBuf,
    /// The program that becomes a container's monitor.
    pub monitor: PathBuf,
    /// Soft limit of descriptors that monitors start with, and so containers that ask for none; `None` is the daemon's.
    pub descriptors: Option<u64>,
    /// Storage driver.
    pub driver: DriverChoice,
    /// Network settings.
    pub network: NetworkConfig,
    /// Whether containers get an init by default.
    pub init: bool,
    /// Log driver of containers that name none, with its options.
    pub log_driver: (String, BTreeMap<String, String>),
    /// First of the 65536 host ids that container ids map to; `None` leaves user namespaces off.
    pub userns_remap: Option<Remap>,
    /// What containers get that do not say otherwise.
    pub container: ContainerDefaults,
    /// Directories with CDI specifications, later ones win (`--cdi-spec-dir`).
    pub cdi_spec_dirs: Vec<PathBuf>,
    /// Proxies for what the daemon itself fetches.
    pub proxies: Proxies,
    /// Whether `info` and `version` report experimental mode; nothing else depends on it.
    pub experimental: bool,
    /// Resources of this machine that users invented (`name=value`), shown by `info`.
    pub generic_resources: Vec<String>,
    /// Settings that `info` warns about, as the lines it prints.
    pub warnings: Vec<String>,
    /// What may change while the daemon runs.
    pub live: LiveConfig,
}

/// Settings that `SIGHUP` reads again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveConfig {
    /// Whether `info` reports debug mode.
    pub debug: bool,
    /// Labels of this daemon (`key=value`), shown by `info`.
    pub labels: Vec<String>,
    /// Registries spoken to over plain HTTP or without a trusted certificate: hosts, `host:port`, or CIDR blocks.
    pub insecure_registries: Vec<String>,
    /// Base URLs asked before Docker Hub, in this order.
    pub registry_mirrors: Vec<String>,
    /// Base URLs asked before other registries, by the registry's name (`host[:port]`), in this order.
    pub host_mirrors: BTreeMap<String, Vec<String>>,
    /// Registries that get layers nobody may distribute. Kept for `daemon reload` events: as in Docker 28, all registries
    /// get such layers, as ordinary ones.
    pub nondistributable_artifacts: Vec<String>,
    /// Layers of one pull downloaded at a time.
    pub max_concurrent_downloads: u32,
    /// Layers of one push uploaded at a time.
    pub max_concurrent_uploads: u32,
    /// How often a broken download is tried.
    pub max_download_attempts: u32,
    /// Whether containers run on when the daemon ends.
    pub live_restore: bool,
    /// Seconds that containers get to stop when they do not run on; negative for ever.
    pub shutdown_timeout: i64,
    /// OCI runtime of containers that name none.
    pub default_runtime: String,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
    /// IPC namespace of containers that name none: private or shareable.
    pub ipc_mode: NamespaceMode,
    /// Cgroup namespace of containers that name none; the default depends on the machine.
    pub cgroupns_mode: NamespaceMode,
    /// Features switched on or off by name.
    pub features: BTreeMap<String, bool>,
    /// The budget of images; `None` collects nothing.
    pub gc: Option<GcConfig>,
}

/// When images without a tag go by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcConfig {
    /// Bytes that images may take: layers unpacked, blobs, and downloads on their way.
    pub max_size: u64,
    /// Patterns of names and ids, or `label=KEY[=VALUE]`, of images that stay.
    pub keep: Vec<String>,
    /// How often the budget is looked at.
    pub interval: Duration,
}

/// What containers get that do not say otherwise.
#[derive(Clone, Debug, Default)]
pub struct ContainerDefaults {
    /// Parent control group; empty for the engine's own.
    pub cgroup_parent: String,
    /// Resource limits.
    pub ulimits: Vec<Ulimit>,
    /// No process gains privileges, unless the container asks for it.
    pub no_new_privileges: bool,
    /// System call filter: the text of a profile, or `unconfined`. `None` is the built-in one.
    pub seccomp_profile: Option<String>,
    /// DNS servers.
    pub dns: Vec<IpAddr>,
    /// DNS resolver options.
    pub dns_options: Vec<String>,
    /// DNS search domains.
    pub dns_search: Vec<String>,
    /// What `host-gateway` stands for in `--add-host`; empty for the default bridge's own address.
    pub host_gateway: Vec<IpAddr>,
}

/// Proxies for what the daemon itself fetches; empty texts for none. They may hold a password: never printed whole.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http://`.
    pub http: String,
    /// For `https://`.
    pub https: String,
    /// Hosts reached without.
    pub none_for: String,
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

// === impl EngineConfig ===

impl EngineConfig {
    /// Docker's defaults on these roots.
    #[must_use]
    pub fn new(data_root: &Path, exec_root: &Path, monitor: PathBuf, network: NetworkConfig) -> Self {
        Self {
            data_root: data_root.to_owned(),
            exec_root: exec_root.to_owned(),
            monitor,
            descriptors: None,
            driver: DriverChoice::Auto,
            network,
            init: false,
            log_driver: ("json-file".to_owned(), BTreeMap::new()),
            userns_remap: None,
            container: ContainerDefaults::default(),
            cdi_spec_dirs: vec![PathBuf::from("/etc/cdi"), PathBuf::from("/var/run/cdi")],
            proxies: Proxies::default(),
            experimental: false,
            generic_resources: Vec::new(),
            warnings: Vec::new(),
            live: LiveConfig::default(),
        }
    }
}

// === impl LiveConfig ===

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            debug: false,
            labels: Vec::new(),
            insecure_registries: Vec::new(),
            registry_mirrors: Vec::new(),
            host_mirrors: BTreeMap::new(),
            nondistributable_artifacts: Vec::new(),
            max_concurrent_downloads: 3,
            max_concurrent_uploads: 5,
            max_download_attempts: 5,
            live_restore: true,
            shutdown_timeout: 15,
            default_runtime: "runc".to_owned(),
            shm_size: 64 << 20,
            ipc_mode: NamespaceMode::Private,
            cgroupns_mode: NamespaceMode::Default,
            features: BTreeMap::new(),
            gc: None,
        }
    }
}

// === impl Proxies ===

impl Proxies {
    /// The proxy as `info` shows it: user and password are masked.
    #[must_use]
    pub fn masked(proxy: &str) -> String {
        let Some((scheme, rest)) = proxy.split_once("://") else { return proxy.to_owned() };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match authority.rsplit_once('@') {
            Some((user, _)) => format!("{scheme}://xxxxx:xxxxx@{}", &rest[user.len() + 1..]),
            None => proxy.to_owned(),
        }
    }
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &Self::masked(&self.http))
            .field("https", &Self::masked(&self.https))
            .field("none_for", &self.none_for)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_proxies_are_masked() {
        for (proxy, shown) in [
            ("http://p:8080", "http://p:8080"),
            ("http://me:secret@p:8080/x@y", "http://xxxxx:xxxxx@p:8080/x@y"),
            ("", ""),
        ] {
            assert_eq!(Proxies::masked(proxy), shown);
        }
    }
}
