//! A small file system of its own, for engines whose data root is on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Mounted while it lives.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// An ext4 image of some megabytes on a loop device: tmpfs cannot hold what an overlay needs everywhere.
    pub fn new(place: &Path, megabytes: u64) -> Option<Self> {
        let disk = Self::made_by("mkfs.ext4", &["-q", "-F"], place, megabytes);
        let size = format!("size={megabytes}m");
        let target = place.display().to_string();
        disk.or_else(|| done("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &target]).then(|| Self(place.to_owned())))
    }

    /// An image of some megabytes in which a program makes a file system. `None` when it is not here, or when the kernel
    /// does not mount what it makes.
    pub fn made_by(program: &str, options: &[&str], place: &Path, megabytes: u64) -> Option<Self> {
        fs::create_dir_all(place).ok()?;
        let image = place.with_extension("img");
        fs::File::create(&image).ok()?.set_len(megabytes << 20).ok()?;
        let (image, target) = (image.display().to_string(), place.display().to_string());
        let mounted = done(program, &[options, &[&image]].concat()) && done("mount", &["-o", "loop", &image, &target]);
        if !mounted {
            let _ = fs::remove_file(&image);
        }
        mounted.then(|| Self(place.to_owned()))
    }

    /// Makes all of it read-only, or writable again.
    pub fn read_only(&self, yes: bool) {
        let options = if yes { "remount,ro" } else { "remount,rw" };
        let done = Command::new("mount").args(["-o", options]).arg(&self.0).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// Bytes that are taken.
    pub fn used(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.0).expect("the disk is mounted");
        (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Best effort: lazily, so that a failed test does not keep the mount.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_file(self.0.with_extension("img"));
        let _ = fs::remove_dir(&self.0);
    }
}

fn done(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}
