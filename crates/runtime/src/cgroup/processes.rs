//! Who is in a group: join, list, signal.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, Signal as KernelSignal, kill_process};
use types::Signal;

use super::layout::{Controller, Layout};
use super::{Cgroup, Error, files, legacy};

/// Passes over the members of a group before a kill gives up on new ones appearing.
const KILL_PASSES: usize = 64;

/// Open descriptors with which a new process enters the group cheaply (all close-on-exec).
///
/// Make it before the clone, pass [`Entry::clone_target`] to `clone3(CLONE_INTO_CGROUP)`, and call
/// [`Entry::enter`] first thing in the child.
#[derive(Debug)]
pub struct Entry {
    /// `tasks` of every version 1 hierarchy.
    tasks: Vec<OwnedFd>,
    /// The directory in the unified hierarchy.
    unified: Option<(OwnedFd, PathBuf)>,
}

impl Entry {
    /// Directory for `CLONE_INTO_CGROUP`; none on a machine without a unified hierarchy.
    pub fn clone_target(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(|(fd, _)| fd.as_fd())
    }

    /// Puts the calling process into the version 1 groups. It must have a single thread (a fresh child has):
    /// only the calling thread is moved, which is what makes it fast. Allocates nothing.
    pub fn enter(&self) -> io::Result<()> {
        self.tasks.iter().try_for_each(|tasks| rustix::io::write(tasks, b"0").map(drop).map_err(io::Error::from))
    }

    /// Puts the calling process into the unified group, for when it was not cloned into it. Slow: 4 to 20 ms.
    pub fn enter_unified(&self) -> io::Result<()> {
        match &self.unified {
            Some((_, directory)) => std::fs::write(directory.join("cgroup.procs"), "0"),
            None => Ok(()),
        }
    }
}

// === impl Cgroup ===

impl Cgroup {
    /// Opens what a new process needs to enter the group.
    pub fn entry(&self) -> Result<Entry, Error> {
        let mut entry = Entry { tasks: Vec::new(), unified: None };
        if let Layout::Legacy(legacy) = self.layout() {
            for (_, directory) in legacy::joined(legacy, &self.path) {
                let path = directory.join("tasks");
                let opened = OpenOptions::new().write(true).open(&path);
                entry.tasks.push(opened.map_err(|source| Error::Read { path, source })?.into());
            }
        }
        if let Some(directory) = self.unified_directory() {
            let opened = File::open(&directory).map_err(|source| Error::Read { path: directory.clone(), source })?;
            entry.unified = Some((opened.into(), directory));
        }
        Ok(entry)
    }

    /// Moves a whole process into the group, in every hierarchy. Slow (4 to 20 ms); see [`Cgroup::entry`].
    pub fn join(&self, pid: i32) -> Result<(), Error> {
        let pid = pid.to_string();
        self.memberships().iter().try_for_each(|member| files::set(&member.directory, "cgroup.procs", &pid))
    }

    /// Every process in the group and the groups below it, in ascending order.
    pub fn pids(&self) -> Result<Vec<i32>, Error> {
        let mut pids = Vec::new();
        if let Some(directory) = self.member_directory() {
            collect(&directory, &mut pids)?;
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// Sends a signal to every process in the group and below. SIGKILL leaves no survivor, whatever forks
    /// meanwhile; it also ends frozen processes on version 2 and hybrid machines.
    pub fn kill(&self, signal: Signal) -> Result<(), Error> {
        if signal == Signal::KILL
            && let Some(directory) = self.unified_directory()
            && files::set(&directory, "cgroup.kill", "1").is_ok()
        {
            return Ok(());
        }
        let passes = if signal == Signal::KILL { KILL_PASSES } else { 1 };
        for _ in 0..passes {
            let pids = self.pids()?;
            if pids.is_empty() {
                break;
            }
            let mut delivered = false;
            for pid in pids {
                delivered |= send(pid, signal)?;
            }
            if !delivered {
                break;
            }
            if passes > 1 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// The directory that lists the group's processes.
    pub(super) fn member_directory(&self) -> Option<PathBuf> {
        let candidates = [Controller::Pids, Controller::Memory, Controller::Devices, Controller::Cpu];
        candidates
            .into_iter()
            .filter_map(|controller| self.legacy_directory(controller))
            .chain(self.unified_directory())
            .find(|directory| directory.is_dir())
    }
}

/// Moves everyone from one directory to one of another hierarchy, until nobody new has appeared.
pub(super) fn move_all(from: &Path, to: &Path) -> Result<(), Error> {
    let mut moved: Vec<i32> = Vec::new();
    loop {
        let mut pids = Vec::new();
        collect(from, &mut pids)?;
        pids.retain(|pid| !moved.contains(pid));
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            match files::set(to, "cgroup.procs", pid.to_string()) {
                Err(error) if error.write_errno() == Some(libc::ESRCH) => {}
                other => other?,
            }
            moved.push(pid);
        }
    }
}

/// The processes of a directory and of those below; a directory that vanishes meanwhile has none.
fn collect(directory: &Path, pids: &mut Vec<i32>) -> Result<(), Error> {
    match files::read(&directory.join("cgroup.procs")) {
        Ok(text) => pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok())),
        Err(Error::Read { source, .. })
            if source.kind() == io::ErrorKind::NotFound || source.raw_os_error() == Some(libc::ENODEV) =>
        {
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(()) };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), pids)?;
        }
    }
    Ok(())
}

/// False when the process is gone already.
fn send(pid: i32, signal: Signal) -> Result<bool, Error> {
    let failed = |source: Errno| Error::Signal { pid, source: source.into() };
    let target = Pid::from_raw(pid).ok_or_else(|| failed(Errno::SRCH))?;
    let signal = KernelSignal::from_named_raw(signal.number()).ok_or_else(|| failed(Errno::INVAL))?;
    match kill_process(target, signal) {
        Ok(()) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}
