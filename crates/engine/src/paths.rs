//! Every path the engine itself uses.
//!
//! ```text
//! <data root>/
//!   containers/<id>.new/   what `create` has not completed; swept when a daemon starts
//!   containers/<id>/
//!     config.json        the specification, written once
//!     state.json         name and status, replaced at every change
//!     health.json        what the health check has found, where there is one
//!     hostname hosts resolv.conf
//!     <id>-json.log      written by the monitor; .1, .2 … after rotation, .1.gz, .1.zst when compressed
//!     local-logs/container.log   the same with the log driver `local`
//!     container-cached.log       the same with a driver that sends the log elsewhere
//!     mounts/shm         only with `--ipc shareable`: the tmpfs that other containers may join
//! <exec root>/
//!   daemon.log
//!   containers/<id>/     the monitor's run directory
//!     control.sock monitor.json exit.json
//! ```
//! The trees below `image/`, `overlay2/`, `volumes/` belong to the store, `network/` and `netns/` to the network.

use std::path::{Path, PathBuf};

use types::ContainerId;

use crate::model::ContainerSpec;

/// File name of the specification.
pub(crate) const SPEC: &str = "config.json";
/// File name of the record of name and status.
pub(crate) const STATE: &str = "state.json";
/// How the name of an incomplete container's directory ends.
pub(crate) const DRAFT: &str = ".new";

/// The roots of one daemon.
#[derive(Clone, Debug)]
pub struct Paths {
    data_root: PathBuf,
    exec_root: PathBuf,
}

impl Paths {
    /// Wraps the two roots.
    #[must_use]
    pub fn new(data_root: &Path, exec_root: &Path) -> Self {
        Self { data_root: data_root.to_owned(), exec_root: exec_root.to_owned() }
    }

    /// All containers' directories.
    #[must_use]
    pub fn containers(&self) -> PathBuf {
        self.data_root.join("containers")
    }

    /// All monitors' run directories.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        self.exec_root.join("containers")
    }

    /// One container's directory.
    #[must_use]
    pub fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    /// Where `create` puts a container's directory together before it gets its name.
    #[must_use]
    pub fn draft(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(format!("{id}{DRAFT}"))
    }

    /// Where the specification is.
    #[must_use]
    pub fn spec(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join(SPEC)
    }

    /// Where name and status are.
    #[must_use]
    pub fn state(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join(STATE)
    }

    /// What the health check has found.
    #[must_use]
    pub fn health(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("health.json")
    }

    /// `/etc/hostname` of the container.
    #[must_use]
    pub fn hostname(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("hostname")
    }

    /// `/etc/hosts` of the container.
    #[must_use]
    pub fn hosts(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("hosts")
    }

    /// `/etc/resolv.conf` of the container.
    #[must_use]
    pub fn resolv_conf(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("resolv.conf")
    }

    /// Where the shared memory of a `--ipc shareable` container is mounted.
    #[must_use]
    pub fn shared_memory(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("mounts/shm")
    }

    /// The file that the container's log is in, or the copy of what a collector gets: as Docker names them.
    #[must_use]
    pub fn log(&self, spec: &ContainerSpec) -> PathBuf {
        let id = &spec.id;
        self.container(id).join(match spec.host.log.driver.as_str() {
            "json-file" => format!("{id}-json.log"),
            "local" => "local-logs/container.log".to_owned(),
            _ => "container-cached.log".to_owned(),
        })
    }

    /// The monitor's run directory.
    #[must_use]
    pub fn run(&self, id: &ContainerId) -> PathBuf {
        self.runs().join(id.as_str())
    }
}
