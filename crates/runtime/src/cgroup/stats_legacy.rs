//! Version 1 statistics.

use std::path::{Path, PathBuf};

use super::files::{number, pairs, read_optional, value_of};
use super::layout::Controller;
use super::stats::{BlkioEntry, HugetlbStats, Stats};

/// Nanoseconds in a tick of `cpuacct.stat` (USER_HZ is 100 on every architecture that matters).
const TICK: u64 = 10_000_000;

/// Reads what is mounted.
pub(super) fn read(directory: &dyn Fn(Controller) -> Option<PathBuf>, stats: &mut Stats) {
    if let Some(group) = directory(Controller::CpuAcct) {
        read_cpuacct(&group, stats);
    }
    if let Some(group) = directory(Controller::Cpu) {
        let text = read_optional(&group.join("cpu.stat")).unwrap_or_default();
        let throttling = &mut stats.cpu.throttling;
        throttling.periods = value_of(&text, "nr_periods").unwrap_or(0);
        throttling.throttled_periods = value_of(&text, "nr_throttled").unwrap_or(0);
        throttling.throttled_time = value_of(&text, "throttled_time").unwrap_or(0);
    }
    if let Some(group) = directory(Controller::Memory) {
        read_memory(&group, stats);
    }
    if let Some(group) = directory(Controller::Pids) {
        stats.pids.current = number(&group.join("pids.current")).unwrap_or(0);
        stats.pids.limit = number(&group.join("pids.max")).unwrap_or(u64::MAX);
    }
    if let Some(group) = directory(Controller::Blkio) {
        stats.blkio.service_bytes = blkio(&group, "io_service_bytes_recursive");
        stats.blkio.serviced = blkio(&group, "io_serviced_recursive");
    }
    if let Some(group) = directory(Controller::Hugetlb) {
        read_hugetlb(&group, stats);
    }
}

fn read_cpuacct(group: &Path, stats: &mut Stats) {
    let cpu = &mut stats.cpu;
    cpu.total = number(&group.join("cpuacct.usage")).unwrap_or(0);
    let text = read_optional(&group.join("cpuacct.usage_percpu")).unwrap_or_default();
    cpu.per_cpu = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let precise = (number(&group.join("cpuacct.usage_user")), number(&group.join("cpuacct.usage_sys")));
    (cpu.user, cpu.system) = if let (Some(user), Some(system)) = precise {
        (user, system)
    } else {
        let text = read_optional(&group.join("cpuacct.stat")).unwrap_or_default();
        let ticks = |key| value_of(&text, key).unwrap_or(0) * TICK;
        (ticks("user"), ticks("system"))
    };
}

fn read_memory(group: &Path, stats: &mut Stats) {
    let read = |file| number(&group.join(file)).unwrap_or(0);
    let memory = &mut stats.memory;
    memory.usage = read("memory.usage_in_bytes");
    memory.max_usage = read("memory.max_usage_in_bytes");
    memory.limit = read("memory.limit_in_bytes");
    memory.fail_count = read("memory.failcnt");
    if let Some(total) = number(&group.join("memory.memsw.usage_in_bytes")) {
        memory.swap_usage = total.saturating_sub(memory.usage);
        memory.swap_limit = read("memory.memsw.limit_in_bytes");
    }
    let control = read_optional(&group.join("memory.oom_control")).unwrap_or_default();
    memory.oom_kills = value_of(&control, "oom_kill").unwrap_or(0);
    let text = read_optional(&group.join("memory.stat")).unwrap_or_default();
    memory.stats = pairs(&text).map(|(key, value)| (key.to_owned(), value)).collect();
    memory.cache = memory.stats.get("cache").copied().unwrap_or(0);
    memory.inactive_file = memory.stats.get("total_inactive_file").copied().unwrap_or(0);
}

/// BFQ keeps its own counters; where it has none the throttling layer's are read, as Docker does.
fn blkio(group: &Path, name: &str) -> Vec<BlkioEntry> {
    ["blkio.bfq.", "blkio.", "blkio.throttle."]
        .iter()
        .filter_map(|prefix| read_optional(&group.join(format!("{prefix}{name}"))))
        .map(|text| text.lines().filter_map(blkio_line).collect::<Vec<_>>())
        .find(|entries| !entries.is_empty())
        .unwrap_or_default()
}

/// `8:0 Read 4096`; the line `Total …` has no device and is left out.
fn blkio_line(line: &str) -> Option<BlkioEntry> {
    let mut words = line.split_whitespace();
    let (major, minor) = words.next()?.split_once(':')?;
    Some(BlkioEntry {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        operation: words.next()?.to_owned(),
        value: words.next()?.parse().ok()?,
    })
}

fn read_hugetlb(group: &Path, stats: &mut Stats) {
    let Ok(entries) = std::fs::read_dir(group) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(size) = name.strip_prefix("hugetlb.").and_then(|rest| rest.strip_suffix(".usage_in_bytes")) else {
            continue;
        };
        if size.ends_with(".rsvd") {
            continue;
        }
        let read = |file: &str| number(&group.join(format!("hugetlb.{size}.{file}"))).unwrap_or(0);
        let usage = HugetlbStats {
            usage: read("usage_in_bytes"),
            max_usage: read("max_usage_in_bytes"),
            fail_count: read("failcnt"),
        };
        stats.hugetlb.insert(size.to_owned(), usage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blkio_lines_keep_the_kernels_words() {
        let entry = blkio_line("8:16 Write 512");
        assert_eq!(entry, Some(BlkioEntry { major: 8, minor: 16, operation: "Write".to_owned(), value: 512 }));
        assert_eq!(blkio_line("Total 512"), None);
    }
}
