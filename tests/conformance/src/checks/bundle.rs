//! A busybox root file system, a configuration like Docker's, and what the containers of both runtime checks do.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Place;

/// A root file system with busybox in it.
pub(super) fn make_root(root: &Path, busybox: &Path) -> Result<()> {
    for directory in ["bin", "proc", "dev", "sys", "tmp"] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::copy(busybox, root.join("bin/busybox")).context("copying busybox").map(drop)
}

/// A `config.json`.
pub(super) fn configuration(cgroup: &str, resources: &Value, command: &[&str]) -> Value {
    let namespaces = ["pid", "mount", "ipc", "uts", "network", "cgroup"].map(|kind| json!({ "type": kind }));
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": kind, "options": options });
    let capabilities = ["CAP_MKNOD", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"];
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": command,
            "env": ["PATH=/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
        },
        "root": { "path": "rootfs", "readonly": false },
        "hostname": "conformance",
        "mounts": [
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755"]),
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
        ],
        "linux": { "namespaces": namespaces, "cgroupsPath": cgroup, "resources": resources },
    })
}

pub(super) fn limit_resources() -> Value {
    json!({
        "memory": { "limit": 33_554_432, "swap": 33_554_432 },
        "cpu": { "quota": 50_000, "period": 100_000 },
        "pids": { "limit": 20 },
    })
}

/// Shows the limits as the container sees them.
pub(super) fn limit_script() -> [&'static str; 4] {
    let script = "cd /sys/fs/cgroup; busybox cat memory.max cpu.max pids.max 2>/dev/null || \
                  busybox cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us pids/pids.max";
    ["/bin/busybox", "sh", "-c", script]
}

pub(super) fn check_limit_output(place: &Place, output: &str) -> Result<()> {
    let expected = if place.layout.is_unified() { "33554432\n50000 100000\n20" } else { "33554432\n50000\n20" };
    ensure!(output.trim() == expected, "{output}");
    Ok(())
}

/// Docker's rules in small: making any node is allowed, opening only some.
pub(super) fn device_resources() -> Value {
    let rule = |major: Option<i64>, minor: Option<i64>, access: &str| json!({ "allow": true, "type": "c", "major": major, "minor": minor, "access": access });
    let deny = json!({ "allow": false, "access": "rwm" });
    json!({ "devices": [deny, rule(None, None, "m"), rule(Some(1), Some(7), "rwm")] })
}

/// Opens `/dev/full`'s device, which is allowed, and the kernel's log, which is not.
pub(super) fn device_script() -> [&'static str; 4] {
    let script = "busybox mknod /tmp/full c 1 7 && busybox head -c1 /tmp/full >/dev/null && echo full; \
                  busybox mknod /tmp/kmsg c 1 11 && echo made; busybox head -c1 /tmp/kmsg 2>/dev/null && echo leak; \
                  echo end";
    ["/bin/busybox", "sh", "-c", script]
}

pub(super) fn check_device_output(output: &str) -> Result<()> {
    ensure!(output.trim() == "full\nmade\nend", "{output}");
    Ok(())
}
