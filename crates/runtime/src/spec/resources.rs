//! Cgroup limits (`linux.resources`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::absent;

/// All limits of one container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Device access, in order; the last matching rule wins.
    #[serde(skip_serializing_if = "absent")]
    pub devices: Vec<DeviceRule>,
    /// Memory.
    #[serde(skip_serializing_if = "absent")]
    pub memory: Option<Memory>,
    /// Processor time and placement.
    #[serde(skip_serializing_if = "absent")]
    pub cpu: Option<Cpu>,
    /// Number of processes.
    #[serde(skip_serializing_if = "absent")]
    pub pids: Option<Pids>,
    /// Block devices.
    #[serde(rename = "blockIO", skip_serializing_if = "absent")]
    pub block_io: Option<BlockIo>,
    /// Huge pages by size.
    #[serde(skip_serializing_if = "absent")]
    pub hugepage_limits: Vec<HugepageLimit>,
    /// Traffic classes (cgroup v1).
    #[serde(skip_serializing_if = "absent")]
    pub network: Option<Network>,
    /// RDMA by device.
    #[serde(skip_serializing_if = "absent")]
    pub rdma: BTreeMap<String, Rdma>,
    /// Raw cgroup v2 files and what to write into them.
    #[serde(skip_serializing_if = "absent")]
    pub unified: BTreeMap<String, String>,
}

/// One rule of the device cgroup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceRule {
    /// Allow or deny.
    pub allow: bool,
    /// `a`, `c` or `b`; absent means `a`.
    #[serde(rename = "type", skip_serializing_if = "absent")]
    pub kind: Option<String>,
    /// Major number; absent or -1 means all.
    #[serde(skip_serializing_if = "absent")]
    pub major: Option<i64>,
    /// Minor number; absent or -1 means all.
    #[serde(skip_serializing_if = "absent")]
    pub minor: Option<i64>,
    /// Letters of `rwm`; empty means all.
    #[serde(skip_serializing_if = "absent")]
    pub access: String,
}

/// Memory limits, in bytes; -1 is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Hard limit.
    #[serde(skip_serializing_if = "absent")]
    pub limit: Option<i64>,
    /// Soft limit.
    #[serde(skip_serializing_if = "absent")]
    pub reservation: Option<i64>,
    /// Memory and swap together.
    #[serde(skip_serializing_if = "absent")]
    pub swap: Option<i64>,
    /// Kernel memory (cgroup v1, deprecated).
    #[serde(skip_serializing_if = "absent")]
    pub kernel: Option<i64>,
    /// Kernel TCP memory (cgroup v1).
    #[serde(rename = "kernelTCP", skip_serializing_if = "absent")]
    pub kernel_tcp: Option<i64>,
    /// 0 to 100 (cgroup v1).
    #[serde(skip_serializing_if = "absent")]
    pub swappiness: Option<u64>,
    /// Freeze instead of killing (cgroup v1).
    #[serde(rename = "disableOOMKiller", skip_serializing_if = "absent")]
    pub disable_oom_killer: Option<bool>,
    /// Account children (cgroup v1).
    #[serde(skip_serializing_if = "absent")]
    pub use_hierarchy: Option<bool>,
    /// Refuse a limit that is below the present use.
    #[serde(skip_serializing_if = "absent")]
    pub check_before_update: Option<bool>,
}

/// Processor time and placement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cpu {
    /// Relative weight, 2 to 262144.
    #[serde(skip_serializing_if = "absent")]
    pub shares: Option<u64>,
    /// Microseconds of run time per period; -1 is unlimited.
    #[serde(skip_serializing_if = "absent")]
    pub quota: Option<i64>,
    /// Microseconds that may be saved up.
    #[serde(skip_serializing_if = "absent")]
    pub burst: Option<u64>,
    /// Period in microseconds.
    #[serde(skip_serializing_if = "absent")]
    pub period: Option<u64>,
    /// Realtime microseconds per period (cgroup v1).
    #[serde(skip_serializing_if = "absent")]
    pub realtime_runtime: Option<i64>,
    /// Realtime period in microseconds (cgroup v1).
    #[serde(skip_serializing_if = "absent")]
    pub realtime_period: Option<u64>,
    /// Processors, for example `0-3,7`.
    #[serde(skip_serializing_if = "absent")]
    pub cpus: String,
    /// Memory nodes.
    #[serde(skip_serializing_if = "absent")]
    pub mems: String,
    /// 1 makes the whole group SCHED_IDLE.
    #[serde(skip_serializing_if = "absent")]
    pub idle: Option<i64>,
}

/// Number of processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pids {
    /// Maximum; zero or less is unlimited.
    pub limit: i64,
}

/// Block device limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockIo {
    /// Relative weight, 10 to 1000.
    #[serde(skip_serializing_if = "absent")]
    pub weight: Option<u16>,
    /// Weight against children (cgroup v1 CFQ).
    #[serde(skip_serializing_if = "absent")]
    pub leaf_weight: Option<u16>,
    /// Weights by device.
    #[serde(skip_serializing_if = "absent")]
    pub weight_device: Vec<WeightDevice>,
    /// Bytes read a second.
    #[serde(skip_serializing_if = "absent")]
    pub throttle_read_bps_device: Vec<ThrottleDevice>,
    /// Bytes written a second.
    #[serde(skip_serializing_if = "absent")]
    pub throttle_write_bps_device: Vec<ThrottleDevice>,
    /// Reads a second.
    #[serde(rename = "throttleReadIOPSDevice", skip_serializing_if = "absent")]
    pub throttle_read_iops_device: Vec<ThrottleDevice>,
    /// Writes a second.
    #[serde(rename = "throttleWriteIOPSDevice", skip_serializing_if = "absent")]
    pub throttle_write_iops_device: Vec<ThrottleDevice>,
}

/// Weight on one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightDevice {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Relative weight.
    #[serde(skip_serializing_if = "absent")]
    pub weight: Option<u16>,
    /// Weight against children.
    #[serde(skip_serializing_if = "absent")]
    pub leaf_weight: Option<u16>,
}

/// Ceiling on one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThrottleDevice {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Bytes or operations a second.
    pub rate: u64,
}

/// Ceiling for one huge page size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HugepageLimit {
    /// Size as the kernel spells it, for example `2MB`.
    pub page_size: String,
    /// Bytes.
    pub limit: u64,
}

/// Traffic classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Network {
    /// net_cls class identifier.
    #[serde(rename = "classID", skip_serializing_if = "absent")]
    pub class_id: Option<u32>,
    /// net_prio priorities.
    #[serde(skip_serializing_if = "absent")]
    pub priorities: Vec<InterfacePriority>,
}

/// Priority on one interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InterfacePriority {
    /// Interface.
    pub name: String,
    /// Priority.
    pub priority: u32,
}

/// RDMA limits of one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rdma {
    /// Handles.
    #[serde(skip_serializing_if = "absent")]
    pub hca_handles: Option<u32>,
    /// Objects.
    #[serde(skip_serializing_if = "absent")]
    pub hca_objects: Option<u32>,
}
