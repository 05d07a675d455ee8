//! The Linux-specific part (`linux`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::absent;
use super::resources::Resources;
use super::seccomp::Seccomp;

/// Namespaces, limits and the rest that only Linux has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux {
    /// User ids of the new user namespace.
    #[serde(skip_serializing_if = "absent")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids of the new user namespace.
    #[serde(skip_serializing_if = "absent")]
    pub gid_mappings: Vec<IdMapping>,
    /// Kernel parameters, by dotted name.
    #[serde(skip_serializing_if = "absent")]
    pub sysctl: BTreeMap<String, String>,
    /// Cgroup limits.
    #[serde(skip_serializing_if = "absent")]
    pub resources: Option<Resources>,
    /// Cgroup path, absolute from the hierarchy's mount point or relative to the runtime's choice.
    #[serde(skip_serializing_if = "absent")]
    pub cgroups_path: String,
    /// Namespaces to create or join; those not named are inherited.
    #[serde(skip_serializing_if = "absent")]
    pub namespaces: Vec<Namespace>,
    /// Device nodes to make beyond the default ones.
    #[serde(skip_serializing_if = "absent")]
    pub devices: Vec<Device>,
    /// Host network interfaces to move in, by host name.
    #[serde(skip_serializing_if = "absent")]
    pub net_devices: BTreeMap<String, NetDevice>,
    /// System call filter.
    #[serde(skip_serializing_if = "absent")]
    pub seccomp: Option<Seccomp>,
    /// Propagation of the root mount: `private`, `slave`, `shared`, `unbindable` and their `r…` forms.
    #[serde(skip_serializing_if = "absent")]
    pub rootfs_propagation: String,
    /// Paths hidden from the container.
    #[serde(skip_serializing_if = "absent")]
    pub masked_paths: Vec<String>,
    /// Paths made read-only.
    #[serde(skip_serializing_if = "absent")]
    pub readonly_paths: Vec<String>,
    /// SELinux label of mounts.
    #[serde(skip_serializing_if = "absent")]
    pub mount_label: String,
    /// Cache allocation.
    #[serde(skip_serializing_if = "absent")]
    pub intel_rdt: Option<IntelRdt>,
    /// Execution domain (personality(2)).
    #[serde(skip_serializing_if = "absent")]
    pub personality: Option<Personality>,
    /// Clock offsets of the new time namespace, by `monotonic` or `boottime`.
    #[serde(skip_serializing_if = "absent")]
    pub time_offsets: BTreeMap<String, TimeOffset>,
}

/// A range of mapped ids.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IdMapping {
    /// First id inside.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// First id outside.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

/// One namespace of the container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Namespace {
    /// Which kind.
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// Namespace file to join; absent means a new one.
    #[serde(skip_serializing_if = "absent")]
    pub path: Option<PathBuf>,
}

/// A device node (`linux.devices[]`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Device {
    /// `c`, `u`, `b` or `p`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Absolute path inside the container.
    pub path: PathBuf,
    /// Major number.
    #[serde(skip_serializing_if = "absent")]
    pub major: i64,
    /// Minor number.
    #[serde(skip_serializing_if = "absent")]
    pub minor: i64,
    /// Permission bits; absent means 0666.
    #[serde(skip_serializing_if = "absent")]
    pub file_mode: Option<u32>,
    /// Owner.
    #[serde(skip_serializing_if = "absent")]
    pub uid: Option<u32>,
    /// Group.
    #[serde(skip_serializing_if = "absent")]
    pub gid: Option<u32>,
}

/// A host interface moved into the container (`linux.netDevices`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetDevice {
    /// Its name inside; empty keeps the host's.
    #[serde(skip_serializing_if = "absent")]
    pub name: String,
}

/// Cache allocation (`linux.intelRdt`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IntelRdt {
    /// Class of service.
    #[serde(rename = "closID", skip_serializing_if = "absent")]
    pub clos_id: String,
    /// L3 schema lines.
    #[serde(skip_serializing_if = "absent")]
    pub l3_cache_schema: String,
    /// Memory bandwidth schema lines.
    #[serde(skip_serializing_if = "absent")]
    pub mem_bw_schema: String,
    /// Cache monitoring.
    #[serde(rename = "enableCMT", skip_serializing_if = "absent")]
    pub enable_cmt: bool,
    /// Bandwidth monitoring.
    #[serde(rename = "enableMBM", skip_serializing_if = "absent")]
    pub enable_mbm: bool,
}

/// Execution domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Personality {
    /// `LINUX` or `LINUX32`.
    pub domain: String,
    /// Reserved by the specification.
    #[serde(skip_serializing_if = "absent")]
    pub flags: Vec<String>,
}

/// Offset of one clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TimeOffset {
    /// Seconds.
    #[serde(skip_serializing_if = "absent")]
    pub secs: i64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "absent")]
    pub nanosecs: u32,
}

/// Kinds of namespaces (`linux.namespaces[].type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// Processes.
    #[default]
    Pid,
    /// Network devices, addresses, ports.
    Network,
    /// Mounts.
    Mount,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host and domain name.
    Uts,
    /// Users, groups and capabilities.
    User,
    /// View of the cgroup hierarchy.
    Cgroup,
    /// Monotonic and boot clocks.
    Time,
}
