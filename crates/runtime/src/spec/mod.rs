//! The container's configuration: `config.json` of the OCI runtime-spec 1.2, as plain serde structures.
//!
//! Fields that the specification marks optional are `Option`, an empty list or an empty map, and are left out
//! when written. Unknown fields are ignored, as the specification asks.

pub mod defaults;
mod linux;
mod process;
mod resources;
mod seccomp;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use linux::{Device, IdMapping, IntelRdt, Linux, Namespace, NamespaceKind, NetDevice, Personality, TimeOffset};
pub use process::{Capabilities, ConsoleSize, CpuAffinity, IoPriority, Process, Rlimit, Scheduler, User};
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, Memory, Network, Pids, Rdma, Resources, ThrottleDevice,
    WeightDevice,
};
pub use seccomp::{Seccomp, SeccompAction, SeccompArg, SeccompOperator, SeccompRule};

/// The version of the specification that is implemented.
pub const VERSION: &str = "1.2.0";

/// True for a value that the written form leaves out.
fn absent<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A whole `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// Version of the specification, for example `1.2.0`.
    pub oci_version: String,
    /// What runs inside. Absent only for a container that is created and never started.
    #[serde(skip_serializing_if = "absent")]
    pub process: Option<Process>,
    /// The root file system.
    #[serde(skip_serializing_if = "absent")]
    pub root: Option<Root>,
    /// Name in the UTS namespace; empty leaves it.
    #[serde(skip_serializing_if = "absent")]
    pub hostname: String,
    /// NIS domain name in the UTS namespace; empty leaves it.
    #[serde(skip_serializing_if = "absent")]
    pub domainname: String,
    /// Mounts inside the container, in order.
    #[serde(skip_serializing_if = "absent")]
    pub mounts: Vec<Mount>,
    /// Programs run at points of the container's life.
    #[serde(skip_serializing_if = "absent")]
    pub hooks: Option<Hooks>,
    /// Free-form labels; they do not change the container.
    #[serde(skip_serializing_if = "absent")]
    pub annotations: BTreeMap<String, String>,
    /// Linux-specific part.
    #[serde(skip_serializing_if = "absent")]
    pub linux: Option<Linux>,
}

/// The root file system (`root`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Root {
    /// Directory, absolute or relative to the bundle.
    pub path: PathBuf,
    /// Whether the container sees it read-only.
    #[serde(skip_serializing_if = "absent")]
    pub readonly: bool,
}

/// One mount inside the container (`mounts[]`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Where it appears, absolute inside the container.
    pub destination: PathBuf,
    /// File system type; ignored for binds.
    #[serde(rename = "type", skip_serializing_if = "absent")]
    pub kind: String,
    /// Device, host path or pseudo source.
    #[serde(skip_serializing_if = "absent")]
    pub source: String,
    /// Of a bind: the part of the source that is mounted, by a path that never leads out of it. The engine's own
    /// addition to the specification; empty for all.
    #[serde(skip_serializing_if = "absent")]
    pub subpath: String,
    /// Options as `mount(8)` and the specification spell them.
    #[serde(skip_serializing_if = "absent")]
    pub options: Vec<String>,
    /// User ids of an idmapped mount.
    #[serde(skip_serializing_if = "absent")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids of an idmapped mount.
    #[serde(skip_serializing_if = "absent")]
    pub gid_mappings: Vec<IdMapping>,
}

/// Programs to run at points of the container's life (`hooks`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// After the namespaces exist, on the host (deprecated name of the next).
    #[serde(skip_serializing_if = "absent")]
    pub prestart: Vec<Hook>,
    /// After the namespaces exist, on the host.
    #[serde(skip_serializing_if = "absent")]
    pub create_runtime: Vec<Hook>,
    /// In the container's namespaces, before the root is changed.
    #[serde(skip_serializing_if = "absent")]
    pub create_container: Vec<Hook>,
    /// In the container, before its process is executed.
    #[serde(skip_serializing_if = "absent")]
    pub start_container: Vec<Hook>,
    /// After the process has started, on the host.
    #[serde(skip_serializing_if = "absent")]
    pub poststart: Vec<Hook>,
    /// After the container was deleted, on the host.
    #[serde(skip_serializing_if = "absent")]
    pub poststop: Vec<Hook>,
}

// === impl Hooks ===

impl Hooks {
    /// Whether the process stops on its way, for hooks that run on the host.
    #[must_use]
    pub fn stop_the_process(&self) -> bool {
        !self.prestart.is_empty() || !self.create_runtime.is_empty()
    }
}

/// One program of a hook list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hook {
    /// Absolute path of the program.
    pub path: PathBuf,
    /// Arguments, the zeroth included; empty means the path alone.
    #[serde(skip_serializing_if = "absent")]
    pub args: Vec<String>,
    /// The whole environment, as `NAME=value`.
    #[serde(skip_serializing_if = "absent")]
    pub env: Vec<String>,
    /// Seconds until it is killed and counted as failed.
    #[serde(skip_serializing_if = "absent")]
    pub timeout: Option<u32>,
}
