//! Readings of what a container uses.

use std::collections::BTreeMap;

use api::container::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, ThrottlingData,
};
use engine::{ContainerStats, InterfaceStats, Sample};

use super::time;

/// Lines of version 1's `memory.stat` that Docker passes on, each also with `total_` before it.
const LEGACY_MEMORY: [&str; 15] = [
    "active_anon",
    "active_file",
    "cache",
    "dirty",
    "inactive_anon",
    "inactive_file",
    "mapped_file",
    "pgfault",
    "pgmajfault",
    "pgpgin",
    "pgpgout",
    "rss",
    "rss_huge",
    "unevictable",
    "writeback",
];
/// Limits of the groups above; no `total_` form.
const LEGACY_LIMITS: [&str; 2] = ["hierarchical_memory_limit", "hierarchical_memsw_limit"];
/// Lines of version 2's `memory.stat` that Docker passes on.
const UNIFIED_MEMORY: [&str; 31] = [
    "active_anon",
    "active_file",
    "anon",
    "anon_thp",
    "file",
    "file_dirty",
    "file_mapped",
    "file_writeback",
    "inactive_anon",
    "inactive_file",
    "kernel_stack",
    "pgactivate",
    "pgdeactivate",
    "pgfault",
    "pglazyfree",
    "pglazyfreed",
    "pgmajfault",
    "pgrefill",
    "pgscan",
    "pgsteal",
    "shmem",
    "slab",
    "slab_reclaimable",
    "slab_unreclaimable",
    "sock",
    "thp_collapse_alloc",
    "thp_fault_alloc",
    "unevictable",
    "workingset_activate",
    "workingset_nodereclaim",
    "workingset_refault",
];

/// Encodes a reading; a container that does not run has nothing but zeroes.
#[must_use]
pub fn stats(stats: &ContainerStats) -> Stats {
    let zero = Stats {
        read: time::ZERO.to_owned(),
        preread: time::ZERO.to_owned(),
        name: format!("/{}", stats.name),
        id: stats.id.to_string(),
        ..Stats::default()
    };
    let Some(sample) = &stats.current else { return zero };
    let previous = stats.previous.as_deref();
    Stats {
        read: time::rfc3339(sample.read),
        preread: time::optional(previous.map(|sample| sample.read)),
        pids_stats: pids(sample),
        blkio_stats: blkio(sample),
        cpu_stats: cpu(sample),
        precpu_stats: previous.map(cpu).unwrap_or_default(),
        memory_stats: memory(sample),
        networks: sample.networks.iter().map(|(name, counters)| (name.clone(), network(counters))).collect(),
        ..zero
    }
}

/// Without a limit version 1 tells none and version 2 the greatest number.
fn pids(sample: &Sample) -> PidsStats {
    let pids = sample.group.pids;
    let unlimited = !sample.unified && pids.limit == u64::MAX;
    PidsStats { current: pids.current, limit: if unlimited { 0 } else { pids.limit } }
}

fn blkio(sample: &Sample) -> BlkioStats {
    let blkio = &sample.group.blkio;
    let list = |entries: &[engine::BlkioEntry]| -> Option<Vec<BlkioEntry>> {
        let entries = entries.iter().map(|entry| BlkioEntry {
            major: entry.major,
            minor: entry.minor,
            op: entry.operation.clone(),
            value: entry.value,
        });
        Some(entries.collect())
    };
    if sample.unified {
        return BlkioStats { io_service_bytes_recursive: list(&blkio.service_bytes), ..BlkioStats::default() };
    }
    BlkioStats {
        io_service_bytes_recursive: list(&blkio.service_bytes),
        io_serviced_recursive: list(&blkio.serviced),
        io_queue_recursive: list(&[]),
        io_service_time_recursive: list(&[]),
        io_wait_time_recursive: list(&[]),
        io_merged_recursive: list(&[]),
        io_time_recursive: list(&[]),
        sectors_recursive: list(&[]),
    }
}

fn cpu(sample: &Sample) -> CpuStats {
    let cpu = &sample.group.cpu;
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: cpu.total,
            percpu_usage: cpu.per_cpu.clone(),
            usage_in_kernelmode: cpu.system,
            usage_in_usermode: cpu.user,
        },
        system_cpu_usage: sample.system_cpu,
        online_cpus: sample.online_cpus,
        throttling_data: ThrottlingData {
            periods: cpu.throttling.periods,
            throttled_periods: cpu.throttling.throttled_periods,
            throttled_time: cpu.throttling.throttled_time,
        },
    }
}

fn memory(sample: &Sample) -> MemoryStats {
    let memory = &sample.group.memory;
    let pick = |key: &str| Some((key.to_owned(), *memory.stats.get(key)?));
    let stats: BTreeMap<String, u64> = if sample.unified {
        UNIFIED_MEMORY.iter().filter_map(|key| pick(key)).collect()
    } else {
        let totals = LEGACY_MEMORY.iter().filter_map(|key| pick(&format!("total_{key}")));
        LEGACY_MEMORY.iter().chain(&LEGACY_LIMITS).filter_map(|key| pick(key)).chain(totals).collect()
    };
    MemoryStats {
        usage: memory.usage,
        // Docker knows no highest use on version 2.
        max_usage: if sample.unified { 0 } else { memory.max_usage },
        stats,
        failcnt: if sample.unified { memory.oom_kills } else { memory.fail_count },
        limit: sample.memory_limit,
    }
}

fn network(counters: &InterfaceStats) -> NetworkStats {
    NetworkStats {
        rx_bytes: counters.rx_bytes,
        rx_packets: counters.rx_packets,
        rx_errors: counters.rx_errors,
        rx_dropped: counters.rx_dropped,
        tx_bytes: counters.tx_bytes,
        tx_packets: counters.tx_packets,
        tx_errors: counters.tx_errors,
        tx_dropped: counters.tx_dropped,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;

    const RUNNING: &str = include_str!("golden/stats_running.json");
    const STOPPED: &str = include_str!("golden/stats_stopped.json");

    fn parse(text: &str) -> Value {
        serde_json::from_str(text).expect("a golden")
    }

    fn number(value: &Value) -> u64 {
        value.as_u64().expect("a number")
    }

    /// What the engine would have read where Docker answered this.
    fn sample(read: &Value, cpu: &Value, golden: &Value) -> Sample {
        let mut sample = Sample {
            read: read.as_str().and_then(|text| text.parse().ok()).expect("a time"),
            memory_limit: number(&golden["memory_stats"]["limit"]),
            system_cpu: number(&cpu["system_cpu_usage"]),
            online_cpus: 2,
            ..Sample::default()
        };
        let group = &mut sample.group;
        group.cpu.total = number(&cpu["cpu_usage"]["total_usage"]);
        group.cpu.user = number(&cpu["cpu_usage"]["usage_in_usermode"]);
        group.cpu.system = number(&cpu["cpu_usage"]["usage_in_kernelmode"]);
        group.cpu.per_cpu = cpu["cpu_usage"]["percpu_usage"].as_array().expect("a list").iter().map(number).collect();
        group.cpu.throttling.periods = number(&cpu["throttling_data"]["periods"]);
        let memory = &golden["memory_stats"];
        (group.memory.usage, group.memory.max_usage) = (number(&memory["usage"]), number(&memory["max_usage"]));
        let lines = memory["stats"].as_object().expect("an object");
        group.memory.stats = lines.iter().map(|(key, value)| (key.clone(), number(value))).collect();
        // The kernel has more lines than Docker tells.
        group.memory.stats.insert("shmem".to_owned(), 5);
        (group.pids.current, group.pids.limit) = (1, u64::MAX);
        let eth0 = &golden["networks"]["eth0"];
        let counters = InterfaceStats {
            rx_bytes: number(&eth0["rx_bytes"]),
            rx_packets: number(&eth0["rx_packets"]),
            ..InterfaceStats::default()
        };
        sample.networks.insert("eth0".to_owned(), counters);
        sample
    }

    fn encoded(golden: &Value, name: &str, current: Option<Sample>, previous: Option<Sample>) -> Value {
        let id = golden["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
        let (current, previous) = (current.map(Arc::new), previous.map(Arc::new));
        let answer = stats(&ContainerStats { id, name: name.to_owned(), current, previous });
        serde_json::to_value(answer).expect("encodes")
    }

    #[test]
    fn running_and_stopped_containers_look_as_dockers_do() {
        let golden = parse(RUNNING);
        let current = sample(&golden["read"], &golden["cpu_stats"], &golden);
        let previous = sample(&golden["preread"], &golden["precpu_stats"], &golden);
        assert_eq!(encoded(&golden, "sa", Some(current), Some(previous)), golden);
        let golden = parse(STOPPED);
        assert_eq!(encoded(&golden, "sc", None, None), golden);
    }

    #[test]
    fn version_2_has_its_own_lines_and_no_highest_use() {
        let golden = parse(RUNNING);
        let mut sample = sample(&golden["read"], &golden["cpu_stats"], &golden);
        sample.unified = true;
        sample.group.cpu.per_cpu.clear();
        sample.group.memory.stats = [("file".to_owned(), 7), ("percpu".to_owned(), 8)].into();
        let answer = encoded(&golden, "sa", Some(sample), None);
        assert_eq!(answer["memory_stats"]["stats"], serde_json::json!({"file": 7}));
        assert_eq!(answer["memory_stats"].get("max_usage"), None);
        assert_eq!(answer["cpu_stats"]["cpu_usage"].get("percpu_usage"), None);
        assert_eq!(answer["blkio_stats"]["io_serviced_recursive"], Value::Null);
        assert_eq!(answer["pids_stats"]["limit"], u64::MAX);
        assert_eq!(answer["preread"], "0001-01-01T00:00:00Z");
    }
}
