//! Running our own programs where a container cannot overwrite them (CVE-2019-5736).
//!
//! A container's process that is still one of our programs, between clone and execve, is visible to the container
//! as `/proc/<pid>/exe`. Opened for writing after we have left, that would be the file on the host. A program that
//! was executed through a read-only mount of its own can only be opened read-only.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::mount::{OpenTreeFlags, open_tree};

use crate::mount_setattr::{MOUNT_ATTR_RDONLY, MountAttributes, mount_setattr};

/// A detached read-only mount of a directory of programs, usually the one that holds the running program.
#[derive(Debug)]
pub struct SealedDirectory(OwnedFd);

impl SealedDirectory {
    /// Makes the mount; it lasts as long as this value or a program executed through it.
    ///
    /// # Errors
    /// open_tree(2), mount_setattr(2): needs CAP_SYS_ADMIN and Linux 5.12.
    pub fn of_current_exe() -> io::Result<Self> {
        let exe = std::env::current_exe()?;
        Self::of(exe.parent().ok_or(io::ErrorKind::NotFound)?)
    }

    /// The same for another directory of programs.
    ///
    /// # Errors
    /// As [`SealedDirectory::of_current_exe`].
    pub fn of(directory: &Path) -> io::Result<Self> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let mount = open_tree(rustix::fs::CWD, directory, flags)?;
        mount_setattr(mount.as_fd(), false, MountAttributes { set: MOUNT_ATTR_RDONLY, ..MountAttributes::default() })?;
        Ok(Self(mount))
    }

    /// Path by which this process (and a child of it, until execve) executes the program `name` of the directory.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }
}
