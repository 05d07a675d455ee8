//! Containers whose users are mapped (`--userns-remap`).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Result, ensure};

use super::{Daemon, disk};
use crate::report::Outcome;

pub(super) fn mapped_containers_work(daemon: &Daemon) -> Result<Outcome> {
    fs::create_dir_all("/etc")?;
    fs::write("/etc/passwd", "root:x:0:0:root:/:/bin/sh\nmapped:x:900:900::/:/bin/sh\n")?;
    fs::write("/etc/group", "root:x:0:\nmapped:x:900:\n")?;
    fs::write("/etc/subuid", "mapped:200000:65536\n")?;
    fs::write("/etc/subgid", "mapped:200000:65536\n")?;
    // Its data are on a disk: this kernel's tmpfs cannot map ids.
    disk::mount_at(daemon, Path::new("/var/lib/mapped"))?;
    let mapped = daemon.another("mapped", &["--userns-remap", "mapped", "--bip", "10.99.0.1/24"])?;
    mapped.background("inside", &["-m", "32m", "-v", "data:/data"], "touch /data/file; echo ready; sleep 1000")?;
    let map = mapped.ok(&["exec", "inside", "cat", "/proc/self/uid_map"])?;
    ensure!(map.split_whitespace().collect::<Vec<_>>() == ["0", "200000", "65536"], "{map}");
    mapped.controls("inside", &[("memory.max", "33554432")])?;
    let pid = mapped.inspect("inside", "{{.State.Pid}}")?;
    ensure!(fs::metadata(format!("/proc/{pid}"))?.uid() == 200_000, "the process belongs to somebody else");
    let owner = mapped.ok(&["exec", "inside", "stat", "-c", "%u", "/data/file"])?;
    ensure!(owner == "0", "the volume's file belongs to {owner}");
    // Raw sockets, names and firewall of its own network belong to its own users.
    let ping = mapped.ok(&["exec", "inside", "ping", "-c", "1", "-w", "20", "10.99.0.1"])?;
    ensure!(ping.contains("1 packets received"), "{ping}");
    ensure!(mapped.script(&["--userns", "host"], "cat /proc/self/uid_map")?.contains("4294967295"), "the host's users");
    Ok(Outcome::Passed)
}
