//! What the engine says about itself and its machine: `info` and `version`.

mod observe;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::Proxies;
use crate::engine::Engine;
use crate::error::Error;
use crate::model::ContainerState;

pub use observe::{CgroupFeatures, Machine};
pub(crate) use observe::{memory_of_machine, weighs_io};

/// The version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Answer to `version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// Of this program.
    pub version: &'static str,
    /// Commit it was built from, where the build said so.
    pub commit: &'static str,
    /// When it was built, where the build said so.
    pub built: &'static str,
    /// The compiler.
    pub compiler: &'static str,
    /// Kernel release.
    pub kernel: String,
    /// Architecture in Go's spelling.
    pub architecture: String,
    /// Experimental mode was asked for.
    pub experimental: bool,
}

/// How many containers there are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerCounts {
    /// With a process.
    pub running: usize,
    /// Frozen.
    pub paused: usize,
    /// All others.
    pub stopped: usize,
}

/// Answer to `info`.
#[derive(Clone, Debug)]
pub struct SystemInfo {
    /// Identity of this data root; survives restarts.
    pub id: String,
    /// Containers.
    pub containers: ContainerCounts,
    /// How many images there are.
    pub images: usize,
    /// Storage driver.
    pub driver: &'static str,
    /// What the storage driver says about itself.
    pub driver_status: Vec<(String, String)>,
    /// The machine.
    pub machine: Machine,
    /// What the runtime can do (runtime-spec `features.md`), as JSON.
    pub runtime_features: String,
    /// What can be limited here.
    pub cgroup: CgroupFeatures,
    /// Debug mode.
    pub debug: bool,
    /// Listeners to events.
    pub listeners: usize,
    /// Log driver of containers that name none.
    pub log_driver: String,
    /// Where the data is.
    pub data_root: PathBuf,
    /// Labels of the daemon, `key=value`.
    pub labels: Vec<String>,
    /// Registries that need no TLS.
    pub insecure_registries: Vec<String>,
    /// Asked before Docker Hub.
    pub registry_mirrors: Vec<String>,
    /// Asked before other registries, by their names.
    pub host_mirrors: BTreeMap<String, Vec<String>>,
    /// Whether containers outlive the daemon.
    pub live_restore: bool,
    /// OCI runtime of containers that name none.
    pub default_runtime: String,
    /// Proxies of the daemon.
    pub proxies: Proxies,
    /// Experimental mode was asked for.
    pub experimental: bool,
    /// Resources that users invented, `name=value`.
    pub generic_resources: Vec<String>,
    /// Network drivers, those of plugins once a network has one.
    pub network_drivers: Vec<String>,
    /// Drivers of volumes: the local one, and plugins that were used.
    pub volume_drivers: Vec<String>,
    /// Blocks that networks are cut from, with the prefix length of each network.
    pub address_pools: Vec<(String, u8)>,
    /// Directories with CDI specifications.
    pub cdi_spec_dirs: Vec<PathBuf>,
    /// Full names of the devices that they define now.
    pub cdi_devices: Vec<String>,
    /// Default system call filter: `builtin`, `unconfined` or `custom`.
    pub seccomp_profile: &'static str,
    /// No process gains privileges by default.
    pub no_new_privileges: bool,
    /// What to warn about, beside what the machine lacks.
    pub warnings: Vec<String>,
    /// User namespaces are on.
    pub userns: bool,
    /// The time here.
    pub now: Timestamp,
    /// Of this program.
    pub version: &'static str,
}

impl Engine {
    /// Describes the program.
    ///
    /// # Errors
    /// Only while the engine is shutting down.
    pub async fn version(&self) -> Result<VersionInfo, Error> {
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        Ok(VersionInfo {
            version: VERSION,
            commit: option_env!("GANTRY_COMMIT").unwrap_or_default(),
            built: option_env!("GANTRY_BUILD_TIME").unwrap_or_default(),
            compiler: concat!("rust", env!("CARGO_PKG_RUST_VERSION")),
            kernel,
            architecture: types::Platform::host().architecture,
            experimental: self.config.experimental,
        })
    }

    /// Describes the engine and its machine.
    ///
    /// # Errors
    /// When the engine's identity can be neither read nor written.
    pub async fn info(self: &Arc<Self>) -> Result<SystemInfo, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || engine.describe()).await
    }

    fn describe(&self) -> Result<SystemInfo, Error> {
        let mut counts = ContainerCounts::default();
        for container in self.containers.snapshot() {
            match container.status().state {
                ContainerState::Running { .. } | ContainerState::Restarting { .. } => counts.running += 1,
                ContainerState::Paused { .. } => counts.paused += 1,
                ContainerState::Created | ContainerState::Exited(_) | ContainerState::Dead(_) => counts.stopped += 1,
            }
        }
        let (config, live) = (&self.config, self.live());
        Ok(SystemInfo {
            id: self.identity()?,
            containers: counts,
            images: self.store.images().len(),
            driver: self.store.driver_name(),
            driver_status: self.store.driver_status(),
            machine: Machine::observe(),
            runtime_features: runtime::features::document(runtime::spec::VERSION).to_string(),
            cgroup: CgroupFeatures::observe(),
            debug: live.debug,
            listeners: self.events.listeners(),
            log_driver: config.log_driver.0.clone(),
            data_root: config.data_root.clone(),
            labels: live.labels.clone(),
            insecure_registries: live.insecure_registries.clone(),
            registry_mirrors: live.registry_mirrors.clone(),
            host_mirrors: live.host_mirrors.clone(),
            live_restore: live.live_restore,
            default_runtime: live.default_runtime.clone(),
            proxies: config.proxies.clone(),
            experimental: config.experimental,
            generic_resources: config.generic_resources.clone(),
            cdi_spec_dirs: config.cdi_spec_dirs.clone(),
            cdi_devices: crate::cdi::devices(&config.cdi_spec_dirs),
            network_drivers: self.network.driver_names(),
            volume_drivers: self.store.volume_drivers(),
            address_pools: config.network.address_pools.iter().map(|pool| (pool.base.to_string(), pool.size)).collect(),
            seccomp_profile: seccomp_name(config.container.seccomp_profile.as_deref()),
            no_new_privileges: config.container.no_new_privileges,
            warnings: config.warnings.clone(),
            userns: config.userns_remap.is_some(),
            now: Timestamp::now(),
            version: VERSION,
        })
    }

    /// A random UUID that is drawn once for a data root and kept in `<data_root>/engine-id`.
    pub(crate) fn identity(&self) -> Result<String, Error> {
        let path = self.config.data_root.join("engine-id");
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("read", &path)(error));
            }
            _ => {}
        }
        let id = uuid(crate::random::bytes());
        std::fs::write(&path, &id).map_err(Error::file("write", &path))?;
        Ok(id)
    }
}

fn seccomp_name(profile: Option<&str>) -> &'static str {
    match profile {
        None => "builtin",
        Some("unconfined") => "unconfined",
        Some(_) => "custom",
    }
}

/// A version 4 UUID (RFC 9562) of the first 16 bytes.
fn uuid(random: [u8; 32]) -> String {
    let mut bytes: [u8; 16] = std::array::from_fn(|i| random[i]);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_version_4_uuids() {
        assert_eq!(uuid([0xff; 32]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid([0; 32]), "00000000-0000-4000-8000-000000000000");
    }
}
