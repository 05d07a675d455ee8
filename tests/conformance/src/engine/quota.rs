//! Limits on what containers and volumes take, by project quotas, which only some kernels and file systems have.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::{Daemon, disk};
use crate::report::Outcome;

/// An ext4 with the features `project` and `quota`, made where there is a `mkfs.ext4`.
pub const IMAGE: &str = "project-quotas.ext4";
/// The roots of the limited daemon.
const ROOT: &str = "/var/lib/limited";

/// What does not fit is refused, for each container and volume by itself, and over a crash of the daemon.
pub(super) fn project_quotas_hold(daemon: &Daemon) -> Result<Outcome> {
    let image = Path::new("/bin").join(IMAGE);
    if !image.exists() {
        return Ok(Outcome::Skipped("the host has no mkfs.ext4".to_owned()));
    }
    // The main daemon's root is on a tmpfs.
    let refused = daemon.run(&["create", "--storage-opt", "size=4m", "busybox", "true"])?;
    let told = "supported only for overlay over xfs with 'pquota' mount option";
    ensure!(refused.code != 0 && refused.stderr.contains(told), "{refused:?}");
    let mut device = OpenOptions::new().write(true).open(disk::PATH).context("opening the disk")?;
    io::copy(&mut File::open(&image)?, &mut device).context("filling the disk")?;
    drop(device);
    fs::create_dir_all(ROOT)?;
    mount(disk::PATH, ROOT, "ext4", MountFlags::empty(), Some(c"prjquota")).context("mounting the disk")?;
    let checked = check(daemon);
    unmount(ROOT, UnmountFlags::DETACH).context("unmounting the disk")?;
    checked.map(|()| Outcome::Passed)
}

fn check(daemon: &Daemon) -> Result<()> {
    let limited = daemon.another("limited", &[])?;
    let info = limited.ok(&["info"])?;
    ensure!(info.contains("Project Quotas: true"), "{info}");
    let sleeper = "sleep 1000000";
    limited.background("four", &["--storage-opt", "size=4m"], sleeper)?;
    limited.background("two", &["--storage-opt", "SIZE=2m"], sleeper)?;
    limited.background("free", &[], sleeper)?;
    let told = limited.inspect("four", "{{.HostConfig.StorageOpt}}")?;
    ensure!(told == "map[size:4m]", "{told}");
    expect_size(&limited, "four", "/", 4096)?;
    expect_size(&limited, "two", "/", 2048)?;
    fill(&limited, "two", "/file", 2)?;
    fill(&limited, "four", "/file", 4)?;
    limited.ok(&["exec", "free", "dd", "if=/dev/zero", "of=/file", "bs=1M", "count=6"])?;
    limited.crash()?;
    // Its project is taken, and another one's limit stays.
    limited.background("later", &["--storage-opt", "size=3m"], sleeper)?;
    expect_size(&limited, "later", "/", 3072)?;
    fill(&limited, "later", "/file", 3)?;
    fill(&limited, "four", "/more", 0)?;
    limited.ok(&["exec", "four", "rm", "-f", "/file", "/more"])?;
    fill(&limited, "four", "/file", 4)?;
    // What is removed gives back.
    limited.remove(&["four", "two", "free", "later"])?;
    limited.background("again", &["--storage-opt", "size=4m"], sleeper)?;
    fill(&limited, "again", "/file", 4)?;
    limited.ok(&["volume", "create", "-o", "size=2m", "small"])?;
    limited.background("user", &["-v", "small:/data"], sleeper)?;
    expect_size(&limited, "user", "/data", 2048)?;
    fill(&limited, "user", "/data/file", 2)?;
    limited.ok(&["exec", "user", "dd", "if=/dev/zero", "of=/file", "bs=1M", "count=3"])?;
    let bad = limited.run(&["create", "--storage-opt", "inodes=3", "busybox", "true"])?;
    ensure!(bad.code != 0 && bad.stderr.contains("unknown option: there is only size"), "{bad:?}");
    limited.remove(&["again", "user"])?;
    limited.ok(&["volume", "rm", "small"]).map(drop)
}

/// What the file system says of itself in the container, in kibibytes: what `df` shows.
fn expect_size(daemon: &Daemon, container: &str, path: &str, kibibytes: u64) -> Result<()> {
    let told = daemon.ok(&["exec", container, "stat", "-f", "-c", "%b %S", path])?;
    let (blocks, size) = told.split_once(' ').context("two numbers")?;
    let found = blocks.parse::<u64>()? * size.parse::<u64>()? / 1024;
    ensure!(found == kibibytes, "{container}: {path} should have {kibibytes} KiB and has {found}");
    Ok(())
}

/// A file that is too large ends after about as many mebibytes.
fn fill(daemon: &Daemon, container: &str, file: &str, mebibytes: u64) -> Result<()> {
    let of = format!("of={file}");
    let said = daemon.run(&["exec", container, "dd", "if=/dev/zero", &of, "bs=64k", "count=256"])?;
    ensure!(said.code != 0 && said.stderr.contains("quota exceeded"), "{container}: {said:?}");
    let size: u64 = daemon.ok(&["exec", container, "stat", "-c", "%s", file])?.parse()?;
    let most = mebibytes << 20;
    ensure!(size <= most && size + (512 << 10) >= most, "{container}: {file} has {size} bytes of {most}");
    Ok(())
}
