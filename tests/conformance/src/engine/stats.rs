//! `stats`: true figures from version 2's files.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::daemon::until;
use super::{Daemon, disk};
use crate::report::Outcome;

fn read(daemon: &Daemon, name: &str) -> Result<Value> {
    let (status, stats) =
        daemon.request("GET", &format!("/containers/{name}/stats?stream=false&one-shot=true"), None)?;
    ensure!(status == 200, "{status} {stats}");
    Ok(stats)
}

fn number(value: &Value) -> Result<u64> {
    value.as_u64().with_context(|| format!("{value} is no number"))
}

pub(super) fn stats_are_true(daemon: &Daemon) -> Result<Outcome> {
    let script = "dd if=/dev/zero of=/shm/fill bs=1M count=8 2>/dev/null; i=0; while test $i -lt 20000; do i=$((i+1)); done; \
                  sleep 1001 & echo done; sleep 1000";
    let flags = ["-m", "64m", "--pids-limit", "30", "--tmpfs", "/shm", "--cpus", "1.5"];
    daemon.background("counted", &flags, script)?;
    until("its work is done", || Ok(daemon.ok(&["logs", "counted"])?.contains("done").then_some(())))?;
    let stats = read(daemon, "counted")?;
    let cpu = &stats["cpu_stats"];
    ensure!(number(&cpu["cpu_usage"]["total_usage"])? > 1_000_000, "{cpu}");
    ensure!(number(&cpu["cpu_usage"]["usage_in_usermode"])? > 0 && cpu["online_cpus"] == 2, "{cpu}");
    ensure!(number(&cpu["system_cpu_usage"])? > number(&cpu["cpu_usage"]["total_usage"])?, "{cpu}");
    ensure!(number(&cpu["throttling_data"]["periods"])? > 0, "{cpu}");
    // Version 2 does not tell the processors apart.
    ensure!(cpu["cpu_usage"].get("percpu_usage").is_none(), "{cpu}");
    let memory = &stats["memory_stats"];
    ensure!(memory["limit"] == 64 << 20, "{memory}");
    let used = number(&memory["usage"])?;
    ensure!(used > 8 << 20 && used < 64 << 20, "{memory}");
    ensure!(number(&memory["stats"]["shmem"])? >= 8 << 20, "{memory}");
    for key in ["anon", "file", "inactive_file", "active_file", "pgfault", "slab", "unevictable"] {
        number(&memory["stats"][key]).with_context(|| key.to_owned())?;
    }
    // Docker has these only where version 1 has them.
    ensure!(memory.get("max_usage").is_none() && memory.get("failcnt").is_none(), "{memory}");
    ensure!(
        stats["pids_stats"] == json!({ "current": 3, "limit": 30 }) || stats["pids_stats"]["current"] == 2,
        "{stats}"
    );
    ensure!(stats["pids_stats"]["limit"] == 30, "{stats}");
    ensure!(number(&stats["networks"]["eth0"]["rx_bytes"]).is_ok(), "{stats}");
    let line = daemon.ok(&["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", "counted"])?;
    ensure!(line.starts_with("counted ") && line.ends_with("/ 64MiB"), "{line}");
    Ok(Outcome::Passed)
}

pub(super) fn block_io_is_limited_and_counted(daemon: &Daemon) -> Result<Outcome> {
    let (disk, numbers) = (disk::PATH, disk::numbers()?);
    // Weights of single devices need a cost model that is switched on.
    fs::write("/sys/fs/cgroup/io.cost.qos", format!("{numbers} enable=1 ctrl=auto")).context("the cost model")?;
    let device = format!("{disk}:/dev/x");
    let limit = |rate: &str| format!("{disk}:{rate}");
    let (bytes, operations, weight) = (limit("2mb"), limit("1000"), limit("300"));
    let flags = [
        "--device",
        &device,
        "--device-write-bps",
        &bytes,
        "--device-read-iops",
        &operations,
        "--blkio-weight-device",
        &weight,
    ];
    let write = "dd if=/dev/zero of=/dev/x bs=256k count=16 conv=notrunc oflag=direct 2>/dev/null; echo written; \
                 dd if=/dev/x of=/dev/null bs=256k count=4 iflag=direct 2>/dev/null; echo read; sleep 1000";
    let begin = std::time::Instant::now();
    daemon.background("slow", &flags, write)?;
    let limits = daemon.control("slow", "io.max")?;
    ensure!(limits == format!("{numbers} rbps=max wbps=2097152 riops=1000 wiops=max"), "{limits}");
    let weights = daemon.control("slow", "io.weight")?;
    ensure!(weights.contains(&format!("{numbers} 2930")), "{weights}");
    until("it is written", || Ok(daemon.ok(&["logs", "slow"])?.contains("read").then_some(())))?;
    ensure!(begin.elapsed().as_millis() > 1000, "4 MiB at 2 MiB a second took {:?}", begin.elapsed());
    let stats = read(daemon, "slow")?;
    let entries = stats["blkio_stats"]["io_service_bytes_recursive"].as_array().cloned().unwrap_or_default();
    let total = |operation: &str| -> u64 {
        let of =
            entries.iter().filter(|entry| entry["op"].as_str().is_some_and(|op| op.eq_ignore_ascii_case(operation)));
        of.filter_map(|entry| entry["value"].as_u64()).sum()
    };
    ensure!((total("write"), total("read")) == (4 << 20, 1 << 20), "{}", stats["blkio_stats"]);
    // A limit changes under the container.
    let body = json!({ "BlkioDeviceWriteBps": [{ "Path": disk, "Rate": 3_000_000 }] });
    let (status, answer) = daemon.request("POST", "/containers/slow/update", Some(&body))?;
    ensure!(status == 200, "{status} {answer}");
    let limits = daemon.control("slow", "io.max")?;
    ensure!(limits.contains("wbps=3000000"), "{limits}");
    Ok(Outcome::Passed)
}
