//! Limits are written where version 2 has them, and do what they say.

use anyhow::{Result, ensure};
use serde_json::json;

use super::Daemon;
use super::daemon::until;
use crate::report::Outcome;

pub(super) fn limits_are_written(daemon: &Daemon) -> Result<Outcome> {
    let flags = [
        "-m",
        "64m",
        "--memory-swap",
        "96m",
        "--memory-reservation",
        "32m",
        "--cpu-shares",
        "512",
        "--cpus",
        "0.5",
        "--cpuset-cpus",
        "0",
        "--cpuset-mems",
        "0",
        "--pids-limit",
        "50",
        "--blkio-weight",
        "500",
    ];
    daemon.background("limited", &flags, "sleep 1000")?;
    daemon.controls(
        "limited",
        &[
            ("memory.max", "67108864"),
            ("memory.swap.max", "33554432"),
            ("memory.low", "33554432"),
            ("cpu.weight", "59"),
            ("cpu.max", "50000 100000"),
            ("cpuset.cpus", "0"),
            ("cpuset.mems", "0"),
            ("pids.max", "50"),
        ],
    )?;
    let weight = daemon.control("limited", "io.weight")?;
    ensure!(weight.starts_with("default 4950"), "io.weight is {weight}");
    let seen = daemon.ok(&["exec", "limited", "cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max"])?;
    ensure!(seen == "67108864\n50", "inside: {seen}");
    // Without a limit of its own the swap is as much again, as in Docker.
    daemon.background("plain", &["-m", "64m"], "sleep 1000")?;
    daemon.controls("plain", &[("memory.swap.max", "67108864"), ("pids.max", "max"), ("cpu.max", "max 100000")])?;
    daemon.background("unlimited", &["-m", "64m", "--memory-swap", "-1"], "sleep 1000")?;
    daemon.controls("unlimited", &[("memory.swap.max", "max")])?;
    Ok(Outcome::Passed)
}

pub(super) fn update_writes_every_limit(daemon: &Daemon) -> Result<Outcome> {
    daemon.background("changed", &["-m", "128m"], "sleep 1000")?;
    let update = |flags: &[&str]| daemon.ok(&[&["update"], flags, &["changed"]].concat());
    update(&["-m", "64m", "--memory-swap", "80m", "--memory-reservation", "16m", "--pids-limit", "20"])?;
    daemon.controls(
        "changed",
        &[("memory.max", "67108864"), ("memory.swap.max", "16777216"), ("memory.low", "16777216"), ("pids.max", "20")],
    )?;
    update(&["--cpu-shares", "2048", "--cpu-quota", "30000", "--cpu-period", "60000", "--blkio-weight", "100"])?;
    daemon.controls("changed", &[("cpu.weight", "174"), ("cpu.max", "30000 60000")])?;
    ensure!(daemon.control("changed", "io.weight")?.starts_with("default 910"), "io.weight");
    update(&["--cpuset-cpus", "1", "--cpuset-mems", "0", "--pids-limit", "-1"])?;
    daemon.controls("changed", &[("cpuset.cpus", "1"), ("cpuset.mems", "0"), ("pids.max", "max")])?;
    let allowed = daemon.ok(&["exec", "changed", "grep", "Cpus_allowed_list", "/proc/1/status"])?;
    ensure!(allowed.ends_with("\t1"), "{allowed}");
    // What cannot be is refused and changes nothing.
    let refused = daemon.run(&["update", "--cpuset-cpus", "7", "changed"])?;
    ensure!(refused.code == 1 && refused.stderr.contains("Requested CPUs are not available"), "{refused:?}");
    daemon.controls("changed", &[("cpuset.cpus", "1")])?;
    let shown = "{{.HostConfig.Memory}} {{.HostConfig.CpuShares}} {{.HostConfig.CpusetCpus}}";
    ensure!(daemon.inspect("changed", shown)? == "67108864 2048 1", "inspect");
    Ok(Outcome::Passed)
}

pub(super) fn memory_kill_is_told(daemon: &Daemon) -> Result<Outcome> {
    let limits = ["-m", "32m", "--memory-swap", "32m"];
    // tail keeps the last line, and /dev/zero has only one.
    let arguments = [&["run", "--name", "greedy"], &limits[..], &["busybox", "tail", "/dev/zero"]].concat();
    let said = daemon.run(&arguments)?;
    ensure!(said.code == 137, "{said:?}");
    let state = daemon.inspect("greedy", "{{.State.OOMKilled}} {{.State.ExitCode}}")?;
    ensure!(state == "true 137", "{state}");
    // One that is killed beside the container's own process is told while that goes on.
    daemon.background("survivor", &limits, "tail /dev/zero; echo ended; sleep 1000")?;
    until("the child is killed", || Ok(daemon.ok(&["logs", "survivor"])?.contains("ended").then_some(())))?;
    for name in ["greedy", "survivor"] {
        until("the event is told", || {
            let filter = format!("container={name}");
            let arguments =
                ["events", "--since", "300s", "--until", "0s", "--filter", &filter, "--filter", "event=oom"];
            Ok((!daemon.ok(&arguments)?.is_empty()).then_some(()))
        })?;
    }
    ensure!(daemon.inspect("survivor", "{{.State.Running}}")? == "true", "it ended too");
    Ok(Outcome::Passed)
}

pub(super) fn pids_limit_refuses(daemon: &Daemon) -> Result<Outcome> {
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 100 & done; echo started";
    let said = daemon.run(&["run", "--rm", "--pids-limit", "5", "busybox", "sh", "-c", script])?;
    ensure!(said.code != 0 && said.stderr.contains("can't fork"), "{said:?}");
    Ok(Outcome::Passed)
}

/// Beyond what the daemon itself has: that takes CAP_SYS_RESOURCE, which this machine's root has.
pub(super) fn raised_limits_are_given(daemon: &Daemon) -> Result<Outcome> {
    let ulimits = ["--ulimit", "nofile=1048576:1048576", "--ulimit", "memlock=-1:-1", "--ulimit", "core=1000:2000"];
    let script =
        "cat /proc/self/limits | grep -E 'open files|locked|core' | sed 's/  */ /g'; cat /proc/self/oom_score_adj";
    let found = daemon.script(&[&ulimits[..], &["--oom-score-adj", "-500"]].concat(), script)?;
    let lines: Vec<&str> = found.lines().map(str::trim).collect();
    let expected = [
        "Max core file size 1000 2000 bytes",
        "Max open files 1048576 1048576 files",
        "Max locked memory unlimited unlimited bytes",
        "-500",
    ];
    ensure!(lines == expected, "{found}");
    let said = daemon.script(&["--sysctl", "net.core.somaxconn=777"], "cat /proc/sys/net/core/somaxconn")?;
    ensure!(said == "777", "{said}");
    Ok(Outcome::Passed)
}

pub(super) fn what_version_2_lacks_is_told(daemon: &Daemon) -> Result<Outcome> {
    let body = json!({
        "Image": "busybox", "Cmd": ["sleep", "1000"],
        "HostConfig": { "Memory": 67_108_864, "MemorySwappiness": 10, "OomKillDisable": true },
    });
    let (status, answer) = daemon.request("POST", "/containers/create?name=lacks", Some(&body))?;
    let warnings = answer["Warnings"].to_string();
    ensure!(status == 201, "{status} {answer}");
    for text in ["OomKillDisable discarded", "Memory swappiness discarded"] {
        ensure!(warnings.contains(text), "{warnings}");
    }
    daemon.ok(&["start", "lacks"])?;
    let refused = daemon.run(&["run", "--rm", "--cpu-rt-runtime", "1000", "busybox", "true"])?;
    ensure!(refused.code == 125 && refused.stderr.contains("CPU real-time scheduler"), "{refused:?}");
    Ok(Outcome::Passed)
}

pub(super) fn cgroup_namespaces_and_parents(daemon: &Daemon) -> Result<Outcome> {
    let show = "cat /proc/self/cgroup";
    ensure!(daemon.script(&[], show)? == "0::/", "private is the default");
    let host = daemon.script(&["--cgroupns", "host"], show)?;
    ensure!(host.starts_with("0::/") && host.len() > 64, "{host}");
    let below = daemon.script(&["--cgroupns", "host", "--cgroup-parent", "/own/parent"], show)?;
    ensure!(below.starts_with("0::/own/parent/"), "{below}");
    // Limits hold below a parent that did not exist.
    let limit = daemon.script(&["--cgroup-parent", "fresh", "-m", "16m"], "cat /sys/fs/cgroup/memory.max")?;
    ensure!(limit == "16777216", "{limit}");
    // What is shown is not for changing.
    let said = daemon.run(&["run", "--rm", "busybox", "mkdir", "/sys/fs/cgroup/x"])?;
    ensure!(said.code == 1 && said.stderr.contains("Read-only file system"), "{said:?}");
    Ok(Outcome::Passed)
}
