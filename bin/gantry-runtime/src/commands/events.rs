//! `events`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use runtime::cgroup::{BlkioEntry, Cgroup, Stats};
use rustix::event::{PollFd, Timespec, poll};
use serde_json::{Value, json};

use crate::arguments::{Flag, Parsed};
use crate::record::{Record, Status};
use crate::{Global, report};

/// Its flags.
pub(crate) const FLAGS: &[Flag] = &[Flag::value("interval", None), Flag::switch("stats", None)];

/// Prints statistics once, or at intervals together with out-of-memory events until the container stops.
pub(crate) fn events(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let record = Record::load(global, parsed.id()?)?;
    if record.status(global) == Status::Stopped {
        bail!("container with id {} is not running", record.id);
    }
    let cgroup = record.cgroup()?;
    if parsed.is_set("stats") {
        print_stats(&record, &cgroup)?;
        return Ok(0);
    }
    let interval = match parsed.last("interval") {
        Some(text) => types::parse_go_duration(text).map_err(|error| anyhow::anyhow!("--interval: {error}"))?,
        None => Duration::from_secs(5),
    };
    if interval.is_zero() {
        bail!("duration interval must be greater than 0");
    }
    watch(&record, &cgroup, interval)?;
    Ok(0)
}

fn watch(record: &Record, cgroup: &Cgroup, interval: Duration) -> anyhow::Result<()> {
    let oom = cgroup.oom_watch()?;
    let mut kills = cgroup.oom_kills().unwrap_or(0);
    let mut next = Instant::now() + interval;
    while record.is_alive() {
        // Short slices, to notice the end of the container.
        let left = next.saturating_duration_since(Instant::now()).min(Duration::from_millis(500));
        let slice = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut polled = [PollFd::new(&oom, oom.interest())];
        if poll(&mut polled, Some(&slice)).is_ok_and(|ready| ready > 0) {
            oom.acknowledge().context("read out-of-memory events")?;
            let now = cgroup.oom_kills().unwrap_or(kills);
            if now > kills {
                report::print_json(&json!({ "type": "oom", "id": record.id }), false)?;
            }
            kills = now;
        }
        if Instant::now() >= next {
            next += interval;
            print_stats(record, cgroup)?;
        }
    }
    Ok(())
}

fn print_stats(record: &Record, cgroup: &Cgroup) -> anyhow::Result<()> {
    let data = data(&cgroup.stats()?);
    report::print_json(&json!({ "type": "stats", "id": record.id, "data": data }), false)
}

/// Statistics in runc's shape (`types/events.go`).
fn data(stats: &Stats) -> Value {
    let entries = |entries: &[BlkioEntry]| -> Vec<Value> {
        let entry = |entry: &BlkioEntry| json!({ "major": entry.major, "minor": entry.minor, "op": entry.operation, "value": entry.value });
        entries.iter().map(entry).collect()
    };
    let hugetlb = stats.hugetlb.iter().map(|(size, page)| {
        (size.clone(), json!({ "usage": page.usage, "max": page.max_usage, "failcnt": page.fail_count }))
    });
    json!({
        "cpu": {
            "usage": {
                "total": stats.cpu.total,
                "percpu": stats.cpu.per_cpu,
                "kernel": stats.cpu.system,
                "user": stats.cpu.user,
            },
            "throttling": {
                "periods": stats.cpu.throttling.periods,
                "throttledPeriods": stats.cpu.throttling.throttled_periods,
                "throttledTime": stats.cpu.throttling.throttled_time,
            },
        },
        "memory": {
            "cache": stats.memory.cache,
            "usage": {
                "limit": stats.memory.limit,
                "usage": stats.memory.usage,
                "max": stats.memory.max_usage,
                "failcnt": stats.memory.fail_count,
            },
            "swap": { "limit": stats.memory.swap_limit, "usage": stats.memory.swap_usage },
            "raw": stats.memory.stats,
        },
        "pids": { "current": stats.pids.current, "limit": stats.pids.limit },
        "blkio": {
            "ioServiceBytesRecursive": entries(&stats.blkio.service_bytes),
            "ioServicedRecursive": entries(&stats.blkio.serviced),
        },
        "hugetlb": hugetlb.collect::<serde_json::Map<_, _>>(),
    })
}
