//! Devices: the rules are a program in the kernel here.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{Daemon, disk};
use crate::report::Outcome;

/// Opens a node with the disk's numbers, which no container may by itself.
fn open_disk() -> Result<String> {
    let numbers = disk::numbers()?.replace(':', " ");
    Ok(format!(
        "mknod /tmp/k b {numbers} && if dd if=/tmp/k of=/dev/null bs=4096 count=1 2>/tmp/said; then echo opened; \
         else grep -q 'not permitted' /tmp/said && echo refused; fi"
    ))
}

pub(super) fn device_rules_hold(daemon: &Daemon) -> Result<Outcome> {
    let (open, numbers) = (&open_disk()?, disk::numbers()?);
    let (major, minor) = numbers.split_once(':').context("numbers")?;
    let with = |rule: &str| daemon.script(&["--device-cgroup-rule", rule], open);
    ensure!(daemon.script(&[], open)? == "refused", "any device can be opened");
    ensure!(with(&format!("b {major}:{minor} r"))? == "opened", "the rule is not there");
    ensure!(with(&format!("b {major}:* rwm"))? == "opened", "the wildcard");
    ensure!(with(&format!("b {major}:{minor} w"))? == "refused", "a rule for writing");
    ensure!(with(&format!("c {major}:{minor} rwm"))? == "refused", "a rule for character devices");
    let device = format!("{}:/dev/x:r", disk::PATH);
    let read =
        "dd if=/dev/x of=/dev/null bs=4096 count=1 2>/dev/null && echo read; (: > /dev/x) 2>/dev/null || echo kept";
    let seen = daemon.script(&["--device", &device], read)?;
    ensure!(seen == "read\nkept", "{seen}");
    // An exec is under the same rules.
    daemon.background("devices", &[], "sleep 1000")?;
    ensure!(daemon.ok(&["exec", "devices", "sh", "-c", open])? == "refused", "exec");
    Ok(Outcome::Passed)
}

pub(super) fn cdi_devices_are_given(daemon: &Daemon) -> Result<Outcome> {
    fs::create_dir_all("/etc/cdi")?;
    let specification = r#"{
        "cdiVersion": "0.6.0", "kind": "example.com/disk",
        "devices": [{ "name": "memory", "containerEdits": {
            "deviceNodes": [{ "path": "/dev/mydisk", "hostPath": "/dev/memdisk", "permissions": "r" }], "env": ["DISK=memory"] } }]
    }"#;
    fs::write("/etc/cdi/disk.json", specification)?;
    let script = "echo $DISK; dd if=/dev/mydisk of=/dev/null bs=4096 count=1 2>/dev/null && echo read";
    let seen = daemon.script(&["--device", "example.com/disk=memory"], script)?;
    ensure!(seen == "memory\nread", "{seen}");
    let refused = daemon.run(&["run", "--rm", "--device", "example.com/disk=none", "busybox", "true"])?;
    ensure!(refused.code != 0 && refused.stderr.contains("unresolvable CDI devices"), "{refused:?}");
    Ok(Outcome::Passed)
}

pub(super) fn privileged_may_everything(daemon: &Daemon) -> Result<Outcome> {
    let script = format!(
        "{}; test -c /dev/kmsg && echo device; mkdir /sys/fs/cgroup/sub && echo group; \
         mount -t tmpfs none /mnt && echo mounted; cat /proc/self/cgroup",
        open_disk()?
    );
    let seen = daemon.script(&["--privileged"], &script)?;
    let lines: Vec<&str> = seen.lines().collect();
    ensure!(lines.starts_with(&["opened", "device", "group", "mounted"]), "{seen}");
    Ok(Outcome::Passed)
}
