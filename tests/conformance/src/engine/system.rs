//! What the engine says about the machine.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::json;

use super::Daemon;
use crate::report::Outcome;

pub(super) fn info_is_true(daemon: &Daemon) -> Result<Outcome> {
    let (status, info) = daemon.request("GET", "/info", None)?;
    ensure!(status == 200, "{status} {info}");
    ensure!(info["CgroupVersion"] == "2" && info["CgroupDriver"] == "cgroupfs", "{info}");
    for key in ["MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet", "PidsLimit"] {
        ensure!(info[key] == true, "{key}: {info}");
    }
    // The unified hierarchy has no switch for the killer, and nobody misses it: no warning either.
    ensure!(info["OomKillDisable"] == false, "{info}");
    let warnings = info["Warnings"].as_array().cloned().unwrap_or_default();
    ensure!(warnings.iter().all(|text| !text.as_str().unwrap_or_default().contains("support")), "{warnings:?}");
    let options = info["SecurityOptions"].as_array().cloned().unwrap_or_default();
    ensure!(options.contains(&json!("name=cgroupns")), "{options:?}");
    let text = daemon.ok(&["info"])?;
    ensure!(text.contains("Cgroup Version: 2"), "{text}");
    Ok(Outcome::Passed)
}

pub(super) fn stock_client_works(daemon: &Daemon) -> Result<Outcome> {
    let stock = Path::new("/bin/docker");
    if !stock.exists() {
        return Ok(Outcome::Skipped("the host has no static docker client".to_owned()));
    }
    let said = daemon.client(stock, &["run", "--rm", "-m", "64m", "busybox", "cat", "/sys/fs/cgroup/memory.max"])?;
    ensure!(said.code == 0 && said.stdout == "67108864", "{said:?}");
    daemon.background("stock", &[], "sleep 1000")?;
    let format = "{{.Name}} {{.MemUsage}} {{.PIDs}}";
    let said = daemon.client(stock, &["stats", "--no-stream", "--format", format, "stock"])?;
    ensure!(said.code == 0 && said.stdout.starts_with("stock ") && said.stdout.ends_with(" 1"), "{said:?}");
    ensure!(!said.stdout.contains(" 0B / 0B"), "{said:?}");
    daemon.remove(&["stock"])?;
    Ok(Outcome::Passed)
}
