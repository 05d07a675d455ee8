//! The host side of a container: resources, mounts, namespaces, policies (Docker's `HostConfig`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::process::PortKey;

/// Where a container's network comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// The default bridge (`default`, `bridge`, or empty).
    #[default]
    Bridge,
    /// Loopback only.
    None,
    /// The host's own namespace.
    Host,
    /// Another container's namespace, by name or id as requested.
    Container(String),
    /// A network by name or id.
    Named(String),
}

/// Where one of the other namespaces comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamespaceMode {
    /// Docker's default for that namespace.
    #[default]
    Default,
    /// The container's own.
    Private,
    /// The container's own, open to be joined (IPC).
    Shareable,
    /// No namespace-private content (IPC `none`).
    None,
    /// The host's.
    Host,
    /// Another container's, by name or id as requested.
    Container(String),
}

/// When the engine starts a container again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// Whenever it exits, and at daemon start even after a manual stop.
    Always,
    /// Whenever it exits, except after a manual stop.
    UnlessStopped,
    /// After a failure, at most this often (0: no limit).
    OnFailure {
        /// Upper bound of retries, 0 for none.
        maximum_retry_count: u32,
    },
}

/// Log driver and its options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// Driver name; empty means the daemon's default.
    pub driver: String,
    /// Driver options.
    pub options: BTreeMap<String, String>,
}

/// `-v source:destination[:mode]`, already split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// Absolute host path, or a volume name.
    pub source: String,
    /// Absolute path in the container.
    pub destination: String,
    /// Mode words as written (`ro,z,rslave`).
    pub mode: String,
}

/// What a `--mount` entry mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountRequestKind {
    /// A host path.
    Bind,
    /// A volume.
    Volume,
    /// Memory.
    Tmpfs,
    /// The files of an image.
    Image,
}

/// One `--mount` entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    /// Kind of the mount.
    pub kind: MountRequestKind,
    /// Host path, volume name or image; empty for tmpfs and anonymous volumes.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Mount propagation (`rprivate`, `rslave`, …); empty means the default.
    pub propagation: String,
    /// Bind: not recursive.
    pub non_recursive: bool,
    /// Bind, read-only: what is mounted below the source stays writable.
    #[serde(default)]
    pub read_only_non_recursive: bool,
    /// Bind, read-only: refused where the kernel cannot make what is mounted below read-only too.
    #[serde(default)]
    pub read_only_force_recursive: bool,
    /// Bind: create the source directory when it is missing.
    pub create_source: bool,
    /// Volume: do not copy the image's content into an empty volume.
    pub no_copy: bool,
    /// Volume: labels of a volume that is created.
    pub labels: BTreeMap<String, String>,
    /// Volume, image: the part that is mounted; empty for all.
    #[serde(default)]
    pub subpath: String,
    /// Volume: driver of a volume that is created, as requested.
    #[serde(default)]
    pub driver: String,
    /// Volume: driver options of a volume that is created.
    #[serde(default)]
    pub driver_options: BTreeMap<String, String>,
    /// Tmpfs: size in bytes, 0 for the kernel's default.
    pub tmpfs_size: u64,
    /// Tmpfs: mode bits, 0 for 1777.
    pub tmpfs_mode: u32,
    /// Tmpfs: further options, each a word or a key and a value.
    #[serde(default)]
    pub tmpfs_options: Vec<Vec<String>>,
}

/// One published port as requested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortBindingRequest {
    /// Host address; `None` means the daemon's default.
    pub host_ip: Option<IpAddr>,
    /// First and last host port; `None` means any free one.
    pub host_ports: Option<(u16, u16)>,
}

/// `--device host:container:permissions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceMapping {
    /// Path on the host.
    pub path_on_host: String,
    /// Path in the container.
    pub path_in_container: String,
    /// Some of `r`, `w`, `m`.
    pub permissions: String,
}

/// Devices asked for by what they can do (`--gpus`), or by their CDI names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRequest {
    /// `cdi`, `nvidia`, `amd`; empty lets the capabilities choose.
    pub driver: String,
    /// How many; -1 for all.
    pub count: i64,
    /// Names instead of a number.
    pub device_ids: Vec<String>,
    /// One of these lists must be had.
    pub capabilities: Vec<Vec<String>>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// `--ulimit name=soft:hard`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Name without `RLIMIT_`, lower case.
    pub name: String,
    /// Soft limit; -1 for unlimited.
    pub soft: i64,
    /// Hard limit; -1 for unlimited.
    pub hard: i64,
}

/// A rate limit on one block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrottleDevice {
    /// Path of the device on the host.
    pub path: String,
    /// Bytes or operations per second, or a weight.
    pub rate: u64,
}

/// Limits, in the kernel's units. 0 or empty: not set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Memory limit, bytes.
    pub memory: i64,
    /// Memory and swap together, bytes; -1 for unlimited swap.
    pub memory_swap: i64,
    /// Soft memory limit, bytes.
    pub memory_reservation: i64,
    /// Kernel memory for TCP buffers, bytes; what a kernel without that limit is asked in vain.
    pub kernel_memory_tcp: i64,
    /// 0 to 100.
    pub memory_swappiness: Option<i64>,
    /// Whether the OOM killer is off for the container.
    pub oom_kill_disable: Option<bool>,
    /// Billionths of a CPU.
    pub nano_cpus: i64,
    /// Relative CPU weight.
    pub cpu_shares: i64,
    /// CFS period, microseconds.
    pub cpu_period: i64,
    /// CFS quota, microseconds.
    pub cpu_quota: i64,
    /// Real-time period, microseconds.
    pub cpu_realtime_period: i64,
    /// Real-time runtime, microseconds.
    pub cpu_realtime_runtime: i64,
    /// CPUs the container may use (`0-2,4`).
    pub cpuset_cpus: String,
    /// Memory nodes the container may use.
    pub cpuset_mems: String,
    /// Maximum number of processes; -1 or 0: unlimited.
    pub pids_limit: Option<i64>,
    /// Relative block I/O weight, 10 to 1000.
    pub blkio_weight: u16,
    /// Per-device weights.
    pub blkio_weight_device: Vec<ThrottleDevice>,
    /// Read bytes per second by device.
    pub blkio_device_read_bps: Vec<ThrottleDevice>,
    /// Write bytes per second by device.
    pub blkio_device_write_bps: Vec<ThrottleDevice>,
    /// Reads per second by device.
    pub blkio_device_read_iops: Vec<ThrottleDevice>,
    /// Writes per second by device.
    pub blkio_device_write_iops: Vec<ThrottleDevice>,
    /// Devices given to the container.
    pub devices: Vec<DeviceMapping>,
    /// Devices asked for by name or capability.
    pub device_requests: Vec<DeviceRequest>,
    /// Device cgroup rules (`c 42:* rmw`).
    pub device_cgroup_rules: Vec<String>,
    /// Resource limits.
    pub ulimits: Vec<Ulimit>,
}

/// What `update` has changed since create; in place of what the specification says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// All limits, changed and unchanged.
    pub resources: Resources,
    /// The restart policy.
    pub restart_policy: RestartPolicy,
}

/// A decoded request to change a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateContainer {
    /// New limits; what is not set stays.
    pub resources: Resources,
    /// New restart policy.
    pub restart_policy: Option<RestartPolicy>,
}

/// Docker's `HostConfig`, parsed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostConfig {
    /// `-v` entries.
    pub binds: Vec<BindMount>,
    /// `--mount` entries.
    pub mounts: Vec<MountRequest>,
    /// `--tmpfs path=options`.
    pub tmpfs: BTreeMap<String, String>,
    /// Containers whose volumes are taken over (`name[:ro|rw]`).
    pub volumes_from: Vec<String>,
    /// File the client writes the id to; reported only.
    pub container_id_file: String,
    /// Isolation technology: empty or `default`; reported only.
    pub isolation: String,
    /// Driver of the volumes that the container creates; refused only when it creates one.
    pub volume_driver: String,
    /// Log driver.
    pub log: LogConfig,
    /// Network.
    pub network_mode: NetworkMode,
    /// Published ports.
    pub port_bindings: BTreeMap<PortKey, Vec<PortBindingRequest>>,
    /// Publish every exposed port on a random host port.
    pub publish_all_ports: bool,
    /// Restart policy.
    pub restart_policy: RestartPolicy,
    /// Remove the container when it exits.
    pub auto_remove: bool,
    /// Terminal size at the start, rows and columns.
    pub console_size: (u16, u16),
    /// Annotations for the OCI spec.
    pub annotations: BTreeMap<String, String>,
    /// Capabilities added (`ALL`, `NET_ADMIN`, `CAP_NET_ADMIN`).
    pub cap_add: Vec<String>,
    /// Capabilities taken away.
    pub cap_drop: Vec<String>,
    /// Cgroup namespace.
    pub cgroupns_mode: NamespaceMode,
    /// IPC namespace.
    pub ipc_mode: NamespaceMode,
    /// PID namespace.
    pub pid_mode: NamespaceMode,
    /// UTS namespace.
    pub uts_mode: NamespaceMode,
    /// User namespace (`host` switches remapping off).
    pub userns_mode: NamespaceMode,
    /// DNS servers.
    pub dns: Vec<IpAddr>,
    /// DNS resolver options.
    pub dns_options: Vec<String>,
    /// DNS search domains.
    pub dns_search: Vec<String>,
    /// `name:address` lines for /etc/hosts.
    pub extra_hosts: Vec<String>,
    /// Additional groups of the process.
    pub group_add: Vec<String>,
    /// Links (`container:alias`).
    pub links: Vec<String>,
    /// -1000 to 1000.
    pub oom_score_adj: i32,
    /// All capabilities and devices, no confinement.
    pub privileged: bool,
    /// Root file system mounted read-only.
    pub readonly_rootfs: bool,
    /// Security options (`no-new-privileges`, `seccomp=…`).
    pub security_opt: Vec<String>,
    /// Storage driver options.
    pub storage_opt: BTreeMap<String, String>,
    /// Size of /dev/shm in bytes; 0 for 64 MiB.
    pub shm_size: u64,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// OCI runtime; empty means the built-in one.
    pub runtime: String,
    /// Parent cgroup; empty means the daemon's default.
    pub cgroup_parent: String,
    /// Run a small init as PID 1. `None`: the daemon's default.
    pub init: Option<bool>,
    /// Paths hidden from the container. `None`: the default set.
    pub masked_paths: Option<Vec<String>>,
    /// Paths made read-only. `None`: the default set.
    pub readonly_paths: Option<Vec<String>>,
    /// Limits.
    pub resources: Resources,
}
