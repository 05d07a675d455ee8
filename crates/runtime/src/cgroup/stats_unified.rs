//! Version 2 statistics.

use std::path::Path;

use super::files::{number, pairs, read_optional, value_of};
use super::stats::{BlkioEntry, HugetlbStats, Stats};

/// Reads every controller that is enabled in the group.
pub(super) fn read(group: &Path, stats: &mut Stats) {
    read_cpu(group, stats);
    read_memory(group, stats);
    stats.pids.current = number(&group.join("pids.current")).unwrap_or(0);
    stats.pids.limit = number(&group.join("pids.max")).unwrap_or(u64::MAX);
    for line in read_optional(&group.join("io.stat")).unwrap_or_default().lines() {
        read_io_line(line, stats);
    }
    read_hugetlb(group, stats);
}

/// Huge pages; also used on hybrid machines.
pub(super) fn read_hugetlb(group: &Path, stats: &mut Stats) {
    let Ok(entries) = std::fs::read_dir(group) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(size) = name.strip_prefix("hugetlb.").and_then(|rest| rest.strip_suffix(".current")) else {
            continue;
        };
        if size.ends_with(".rsvd") {
            continue;
        }
        let events = read_optional(&group.join(format!("hugetlb.{size}.events"))).unwrap_or_default();
        let usage = HugetlbStats {
            usage: number(&group.join(&name)).unwrap_or(0),
            max_usage: 0,
            fail_count: value_of(&events, "max").unwrap_or(0),
        };
        stats.hugetlb.insert(size.to_owned(), usage);
    }
}

/// The kernel counts microseconds here.
fn read_cpu(group: &Path, stats: &mut Stats) {
    let text = read_optional(&group.join("cpu.stat")).unwrap_or_default();
    let read = |key| value_of(&text, key).unwrap_or(0);
    let cpu = &mut stats.cpu;
    cpu.total = read("usage_usec") * 1000;
    cpu.user = read("user_usec") * 1000;
    cpu.system = read("system_usec") * 1000;
    cpu.throttling.periods = read("nr_periods");
    cpu.throttling.throttled_periods = read("nr_throttled");
    cpu.throttling.throttled_time = read("throttled_usec") * 1000;
}

fn read_memory(group: &Path, stats: &mut Stats) {
    let read = |file| number(&group.join(file)).unwrap_or(0);
    let memory = &mut stats.memory;
    memory.usage = read("memory.current");
    memory.max_usage = read("memory.peak");
    memory.limit = number(&group.join("memory.max")).unwrap_or(u64::MAX);
    memory.swap_usage = read("memory.swap.current");
    memory.swap_limit = number(&group.join("memory.swap.max")).unwrap_or(0);
    let events = read_optional(&group.join("memory.events")).unwrap_or_default();
    memory.fail_count = value_of(&events, "max").unwrap_or(0);
    memory.oom_kills = value_of(&events, "oom_kill").unwrap_or(0);
    let text = read_optional(&group.join("memory.stat")).unwrap_or_default();
    memory.stats = pairs(&text).map(|(key, value)| (key.to_owned(), value)).collect();
    memory.cache = memory.stats.get("file").copied().unwrap_or(0);
    memory.inactive_file = memory.stats.get("inactive_file").copied().unwrap_or(0);
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0`.
fn read_io_line(line: &str, stats: &mut Stats) {
    let Some((device, counters)) = line.split_once(' ') else { return };
    let Some((major, minor)) = device.split_once(':') else { return };
    let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { return };
    for (key, value) in counters.split_whitespace().filter_map(|counter| counter.split_once('=')) {
        let (list, operation) = match key {
            "rbytes" => (&mut stats.blkio.service_bytes, "read"),
            "wbytes" => (&mut stats.blkio.service_bytes, "write"),
            "rios" => (&mut stats.blkio.serviced, "read"),
            "wios" => (&mut stats.blkio.serviced, "write"),
            _ => continue,
        };
        list.push(BlkioEntry { major, minor, operation: operation.to_owned(), value: value.parse().unwrap_or(0) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_lines_become_two_lists() {
        let mut stats = Stats::default();
        read_io_line("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0", &mut stats);
        let values = |list: &[BlkioEntry]| list.iter().map(|e| (e.operation.clone(), e.value)).collect::<Vec<_>>();
        assert_eq!(values(&stats.blkio.service_bytes), [("read".to_owned(), 1), ("write".to_owned(), 2)]);
        assert_eq!(values(&stats.blkio.serviced), [("read".to_owned(), 3), ("write".to_owned(), 4)]);
    }
}
