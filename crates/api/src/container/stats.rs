//! `GET /containers/{id}/stats`. Its keys are in snake case, unlike all others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::is_default;

/// Declares structs of counters that may be absent.
macro_rules! counters {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident { $( $(#[$field_meta:meta])* pub $field:ident : $kind:ty, )* }
    )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        #[allow(missing_docs, reason = "the API reference describes the fields")]
        pub struct $name { $( $(#[$field_meta])* pub $field: $kind, )* }
    )* };
}

counters! {
    /// `ContainerStatsResponse`.
    pub struct Stats {
        pub read: String,
        pub preread: String,
        pub pids_stats: PidsStats,
        pub blkio_stats: BlkioStats,
        pub num_procs: u64,
        pub storage_stats: crate::Empty,
        pub cpu_stats: CpuStats,
        pub precpu_stats: CpuStats,
        pub memory_stats: MemoryStats,
        pub name: String,
        pub id: String,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub networks: BTreeMap<String, NetworkStats>,
    }

    /// `ContainerPidsStats`.
    pub struct PidsStats {
        #[serde(skip_serializing_if = "is_default")]
        pub current: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub limit: u64,
    }

    /// `ContainerBlkioStatEntry`.
    pub struct BlkioEntry {
        pub major: u64,
        pub minor: u64,
        pub op: String,
        pub value: u64,
    }

    /// `ContainerBlkioStats`. Lists that the kernel does not keep are `[]` with cgroups v1 and `null` with v2.
    pub struct BlkioStats {
        pub io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
        pub io_serviced_recursive: Option<Vec<BlkioEntry>>,
        pub io_queue_recursive: Option<Vec<BlkioEntry>>,
        pub io_service_time_recursive: Option<Vec<BlkioEntry>>,
        pub io_wait_time_recursive: Option<Vec<BlkioEntry>>,
        pub io_merged_recursive: Option<Vec<BlkioEntry>>,
        pub io_time_recursive: Option<Vec<BlkioEntry>>,
        pub sectors_recursive: Option<Vec<BlkioEntry>>,
    }

    /// `ContainerCPUUsage`, in nanoseconds.
    pub struct CpuUsage {
        pub total_usage: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub percpu_usage: Vec<u64>,
        pub usage_in_kernelmode: u64,
        pub usage_in_usermode: u64,
    }

    /// `ContainerThrottlingData`.
    pub struct ThrottlingData {
        pub periods: u64,
        pub throttled_periods: u64,
        pub throttled_time: u64,
    }

    /// `ContainerCPUStats`.
    pub struct CpuStats {
        pub cpu_usage: CpuUsage,
        #[serde(skip_serializing_if = "is_default")]
        pub system_cpu_usage: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub online_cpus: u32,
        pub throttling_data: ThrottlingData,
    }

    /// `ContainerMemoryStats`, in bytes.
    pub struct MemoryStats {
        #[serde(skip_serializing_if = "is_default")]
        pub usage: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub max_usage: u64,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub stats: BTreeMap<String, u64>,
        #[serde(skip_serializing_if = "is_default")]
        pub failcnt: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub limit: u64,
    }

    /// `ContainerNetworkStats`.
    pub struct NetworkStats {
        pub rx_bytes: u64,
        pub rx_packets: u64,
        pub rx_errors: u64,
        pub rx_dropped: u64,
        pub tx_bytes: u64,
        pub tx_packets: u64,
        pub tx_errors: u64,
        pub tx_dropped: u64,
    }
}
