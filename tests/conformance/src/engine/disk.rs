//! A block device of the virtual machine whose data are kept in memory.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, mount};

use super::Daemon;

const NAME: &str = "memdisk";
/// Where it is.
pub(super) const PATH: &str = "/dev/memdisk";

/// Makes it.
pub(super) fn make() -> Result<()> {
    let configuration = Path::new("/sys/kernel/config");
    mount("configfs", configuration, "configfs", MountFlags::empty(), None).context("mounting configfs")?;
    let device = configuration.join("nullb").join(NAME);
    fs::create_dir(&device).context("making a disk")?;
    for (key, value) in [("memory_backed", "1"), ("size", "64"), ("blocksize", "4096"), ("power", "1")] {
        fs::write(device.join(key), value).with_context(|| format!("setting {key}"))?;
    }
    Ok(())
}

/// Makes a file system of the ext family on it, and mounts that.
pub(super) fn mount_at(daemon: &Daemon, directory: &Path) -> Result<()> {
    let made = daemon.busybox().args(["mke2fs", "-b", "4096", PATH]).stdout(Stdio::null()).status()?;
    ensure!(made.success(), "mke2fs failed");
    fs::create_dir_all(directory)?;
    mount(PATH, directory, "ext4", MountFlags::empty(), None).context("mounting the disk")
}

/// Its numbers, `MAJOR:MINOR`.
pub(super) fn numbers() -> Result<String> {
    let text = fs::read_to_string(Path::new("/sys/block").join(NAME).join("dev")).context("the disk's numbers")?;
    Ok(text.trim().to_owned())
}
