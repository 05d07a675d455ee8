//! The host side of a container.

use std::collections::BTreeMap;

use crate::wire::is_default;

wire! {
    /// `LogConfig` of a container.
    pub struct LogConfig {
        #[serde(rename = "Type")]
        pub kind: String,
        pub config: BTreeMap<String, String>,
    }

    /// `PortBinding`.
    pub struct PortBinding {
        pub host_ip: String,
        pub host_port: String,
    }

    /// `RestartPolicy`.
    pub struct RestartPolicy {
        pub name: String,
        pub maximum_retry_count: i64,
    }

    /// `BlkioWeightDevice`.
    pub struct WeightDevice {
        pub path: String,
        pub weight: u16,
    }

    /// `ThrottleDevice`.
    pub struct ThrottleDevice {
        pub path: String,
        pub rate: u64,
    }

    /// `DeviceMapping`.
    pub struct DeviceMapping {
        pub path_on_host: String,
        pub path_in_container: String,
        pub cgroup_permissions: String,
    }

    /// `DeviceRequest`.
    pub struct DeviceRequest {
        pub driver: String,
        pub count: i64,
        #[serde(rename = "DeviceIDs")]
        pub device_ids: Option<Vec<String>>,
        pub capabilities: Option<Vec<Vec<String>>>,
        pub options: Option<BTreeMap<String, String>>,
    }

    /// `Ulimit`.
    pub struct Ulimit {
        pub name: String,
        pub hard: i64,
        pub soft: i64,
    }

    /// Options of a bind mount.
    pub struct BindOptions {
        #[serde(skip_serializing_if = "is_default")]
        pub propagation: String,
        #[serde(skip_serializing_if = "is_default")]
        pub non_recursive: bool,
        #[serde(skip_serializing_if = "is_default")]
        pub create_mountpoint: bool,
        #[serde(skip_serializing_if = "is_default")]
        pub read_only_non_recursive: bool,
        #[serde(skip_serializing_if = "is_default")]
        pub read_only_force_recursive: bool,
    }

    /// Driver of a volume that a mount creates.
    pub struct VolumeDriver {
        #[serde(skip_serializing_if = "is_default")]
        pub name: String,
        #[serde(skip_serializing_if = "is_default")]
        pub options: BTreeMap<String, String>,
    }

    /// Options of a volume mount.
    pub struct VolumeOptions {
        #[serde(skip_serializing_if = "is_default")]
        pub no_copy: bool,
        #[serde(skip_serializing_if = "is_default")]
        pub labels: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "is_default")]
        pub subpath: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub driver_config: Option<VolumeDriver>,
    }

    /// Options of an image mount.
    pub struct ImageOptions {
        #[serde(skip_serializing_if = "is_default")]
        pub subpath: String,
    }

    /// Options of a tmpfs mount.
    pub struct TmpfsOptions {
        #[serde(skip_serializing_if = "is_default")]
        pub size_bytes: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub mode: u32,
        #[serde(skip_serializing_if = "is_default")]
        pub options: Vec<Vec<String>>,
    }

    /// `Mount`: an entry of `HostConfig.Mounts`.
    pub struct Mount {
        #[serde(rename = "Type", skip_serializing_if = "is_default")]
        pub kind: String,
        #[serde(skip_serializing_if = "is_default")]
        pub source: String,
        #[serde(skip_serializing_if = "is_default")]
        pub target: String,
        #[serde(skip_serializing_if = "is_default")]
        pub read_only: bool,
        #[serde(skip_serializing_if = "is_default")]
        pub consistency: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bind_options: Option<BindOptions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volume_options: Option<VolumeOptions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_options: Option<ImageOptions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tmpfs_options: Option<TmpfsOptions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub cluster_options: Option<crate::Empty>,
    }

    /// `HostConfig`.
    pub struct HostConfig {
        pub binds: Option<Vec<String>>,
        #[serde(rename = "ContainerIDFile")]
        pub container_id_file: String,
        pub log_config: LogConfig,
        pub network_mode: String,
        pub port_bindings: BTreeMap<String, Option<Vec<PortBinding>>>,
        pub restart_policy: RestartPolicy,
        pub auto_remove: bool,
        pub volume_driver: String,
        pub volumes_from: Option<Vec<String>>,
        pub console_size: (u32, u32),
        #[serde(skip_serializing_if = "is_default")]
        pub annotations: BTreeMap<String, String>,
        pub cap_add: Option<Vec<String>>,
        pub cap_drop: Option<Vec<String>>,
        pub cgroupns_mode: String,
        pub dns: Option<Vec<String>>,
        pub dns_options: Option<Vec<String>>,
        pub dns_search: Option<Vec<String>>,
        pub extra_hosts: Option<Vec<String>>,
        pub group_add: Option<Vec<String>>,
        pub ipc_mode: String,
        pub cgroup: String,
        pub links: Option<Vec<String>>,
        pub oom_score_adj: i32,
        pub pid_mode: String,
        pub privileged: bool,
        pub publish_all_ports: bool,
        pub readonly_rootfs: bool,
        pub security_opt: Option<Vec<String>>,
        #[serde(skip_serializing_if = "is_default")]
        pub storage_opt: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "is_default")]
        pub tmpfs: BTreeMap<String, String>,
        #[serde(rename = "UTSMode")]
        pub uts_mode: String,
        pub userns_mode: String,
        pub shm_size: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub sysctls: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "is_default")]
        pub runtime: String,
        pub isolation: String,
        pub cpu_shares: i64,
        pub memory: i64,
        pub nano_cpus: i64,
        pub cgroup_parent: String,
        pub blkio_weight: u16,
        pub blkio_weight_device: Option<Vec<WeightDevice>>,
        pub blkio_device_read_bps: Option<Vec<ThrottleDevice>>,
        pub blkio_device_write_bps: Option<Vec<ThrottleDevice>>,
        #[serde(rename = "BlkioDeviceReadIOps")]
        pub blkio_device_read_iops: Option<Vec<ThrottleDevice>>,
        #[serde(rename = "BlkioDeviceWriteIOps")]
        pub blkio_device_write_iops: Option<Vec<ThrottleDevice>>,
        pub cpu_period: i64,
        pub cpu_quota: i64,
        pub cpu_realtime_period: i64,
        pub cpu_realtime_runtime: i64,
        pub cpuset_cpus: String,
        pub cpuset_mems: String,
        pub devices: Option<Vec<DeviceMapping>>,
        pub device_cgroup_rules: Option<Vec<String>>,
        pub device_requests: Option<Vec<DeviceRequest>>,
        #[serde(skip_serializing_if = "is_default")]
        pub kernel_memory: i64,
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "is_default")]
        pub kernel_memory_tcp: i64,
        pub memory_reservation: i64,
        pub memory_swap: i64,
        pub memory_swappiness: Option<i64>,
        pub oom_kill_disable: Option<bool>,
        pub pids_limit: Option<i64>,
        pub ulimits: Option<Vec<Ulimit>>,
        pub cpu_count: i64,
        pub cpu_percent: i64,
        #[serde(rename = "IOMaximumIOps")]
        pub io_maximum_iops: u64,
        #[serde(rename = "IOMaximumBandwidth")]
        pub io_maximum_bandwidth: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub mounts: Vec<Mount>,
        pub masked_paths: Option<Vec<String>>,
        pub readonly_paths: Option<Vec<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub init: Option<bool>,
    }
}
