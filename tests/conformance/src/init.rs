//! Process 1 of the virtual machine: mounts what the checks need, runs them, powers off.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount, mount_move};
use rustix::system::{RebootCommand, init_module, reboot};

/// Directory of the initial file system that the real root is made from.
const PAYLOAD: [&str; 1] = ["/bin"];
const MODULES: &str = "/modules";

/// Never returns in a virtual machine: it is switched off whatever happened.
#[allow(clippy::print_stdout)]
pub fn main() {
    if let Err(error) = start() {
        println!("the virtual machine cannot run the checks: {error:#}");
    }
    rustix::fs::sync();
    let _ = reboot(RebootCommand::PowerOff);
}

fn start() -> Result<()> {
    load_modules()?;
    switch_root().context("making a root that can be pivoted")?;
    for (kind, target) in
        [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp"), ("tmpfs", "/run")]
    {
        fs::create_dir_all(target)?;
        mount(kind, target, kind, MountFlags::empty(), None).with_context(|| format!("mounting {target}"))?;
    }
    mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MountFlags::empty(), None).context("mounting cgroup2")?;
    let runtime = Path::new("/bin/gantry-runtime");
    let mut checks = Command::new("/bin/guest");
    // The kernel's command line says which.
    if std::env::var_os("CHECKS").is_some_and(|checks| checks == "engine") {
        checks.args(["engine", "--gantry", "/bin/gantry", "--busybox", "/bin/busybox"]);
    } else {
        checks.args(["checks", "--busybox", "/bin/busybox"]);
        if runtime.exists() {
            checks.arg("--runtime").arg(runtime);
        }
    }
    checks.env("PATH", "/bin").env("HOME", "/tmp").status().context("starting the checks").map(drop)
}

/// In the order of their names: the image numbers them.
fn load_modules() -> Result<()> {
    let Ok(entries) = fs::read_dir(MODULES) else { return Ok(()) };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let image = fs::read(&path)?;
        init_module(&image, c"").with_context(|| format!("loading {}", path.display()))?;
    }
    Ok(())
}

/// pivot_root refuses the initial ramfs: move to a tmpfs, as every initramfs does.
fn switch_root() -> Result<()> {
    fs::create_dir_all("/root")?;
    mount("tmpfs", "/root", "tmpfs", MountFlags::empty(), None)?;
    for directory in PAYLOAD {
        let target = Path::new("/root").join(directory.trim_start_matches('/'));
        fs::create_dir_all(&target)?;
        for entry in fs::read_dir(directory)?.flatten() {
            fs::copy(entry.path(), target.join(entry.file_name()))?;
            fs::remove_file(entry.path())?;
        }
    }
    rustix::process::chdir("/root")?;
    mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/")?;
    Ok(())
}
