//! What a group uses, in one shape for both versions; enough for the Engine API's `/containers/{id}/stats`.

use std::collections::BTreeMap;

use super::layout::Layout;
use super::{Cgroup, Error, stats_legacy, stats_unified};

/// One reading. A controller that is not there reads as zeroes or empty lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Processes.
    pub pids: PidsStats,
    /// Block devices.
    pub blkio: BlkioStats,
    /// Huge pages, by size such as `2MB`.
    pub hugetlb: BTreeMap<String, HugetlbStats>,
}

/// Processor time, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuStats {
    /// In all.
    pub total: u64,
    /// In user mode.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// By processor; empty on version 2.
    pub per_cpu: Vec<u64>,
    /// Bandwidth limit at work.
    pub throttling: Throttling,
}

/// What the CPU bandwidth limit did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Throttling {
    /// Periods that have passed.
    pub periods: u64,
    /// Periods in which the group used up its quota.
    pub throttled_periods: u64,
    /// Nanoseconds spent waiting for the next period.
    pub throttled_time: u64,
}

/// Memory, in bytes unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryStats {
    /// In use, page cache included.
    pub usage: u64,
    /// Highest use; zero on version 2 before Linux 5.19.
    pub max_usage: u64,
    /// Limit; [`u64::MAX`] (or a page-rounded value near [`i64::MAX`] on version 1) is none.
    pub limit: u64,
    /// How often the limit was hit.
    pub fail_count: u64,
    /// Page cache: `cache` of version 1, `file` of version 2.
    pub cache: u64,
    /// Inactive page cache, which Docker subtracts from the use: `total_inactive_file` of version 1,
    /// `inactive_file` of version 2.
    pub inactive_file: u64,
    /// Swap in use (on version 1 memory and swap minus memory).
    pub swap_usage: u64,
    /// Swap limit, as the version has it.
    pub swap_limit: u64,
    /// Processes killed for lack of memory.
    pub oom_kills: u64,
    /// Every line of `memory.stat`, under the kernel's names.
    pub stats: BTreeMap<String, u64>,
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PidsStats {
    /// Now.
    pub current: u64,
    /// At most; [`u64::MAX`] is unlimited.
    pub limit: u64,
}

/// Block devices. The operation is spelled as Docker has it: `Read` on version 1, `read` on version 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlkioStats {
    /// Bytes by device and operation.
    pub service_bytes: Vec<BlkioEntry>,
    /// Operations by device and operation.
    pub serviced: Vec<BlkioEntry>,
}

/// One counter of one device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlkioEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// Operation.
    pub operation: String,
    /// Bytes or operations.
    pub value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HugetlbStats {
    /// In use.
    pub usage: u64,
    /// Highest use; version 1 only.
    pub max_usage: u64,
    /// How often the limit was hit.
    pub fail_count: u64,
}

// === impl Cgroup ===

impl Cgroup {
    /// Reads everything. Fails only when the group is gone.
    pub fn stats(&self) -> Result<Stats, Error> {
        if !self.exists() {
            let path = self.directories().into_iter().next().unwrap_or_default();
            return Err(Error::Read { path, source: std::io::ErrorKind::NotFound.into() });
        }
        let mut stats = Stats::default();
        match self.layout() {
            Layout::Unified(unified) => stats_unified::read(&unified.root.join(&self.path), &mut stats),
            Layout::Legacy(legacy) => {
                stats_legacy::read(&|controller| self.legacy_directory(controller), &mut stats);
                if let Some(unified) = &legacy.unified
                    && stats.hugetlb.is_empty()
                {
                    stats_unified::read_hugetlb(&unified.root.join(&self.path), &mut stats);
                }
            }
        }
        Ok(stats)
    }
}
