//! Noticing that the kernel killed for lack of memory.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::event::{EventfdFlags, PollFlags, eventfd};

use super::layout::Controller;
use super::{Cgroup, Error, files};

/// A descriptor that a poll loop wakes up on.
#[derive(Debug)]
pub struct OomWatch {
    fd: OwnedFd,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// eventfd fed through `cgroup.event_control`; the control file must stay open.
    Legacy { _control: File },
    /// `memory.events`, which signals a change as exceptional data.
    Unified,
}

impl OomWatch {
    /// What to poll for: `POLLIN` on version 1, `POLLPRI` on version 2 (the same bits as EPOLLIN and EPOLLPRI).
    pub fn interest(&self) -> PollFlags {
        match self.source {
            Source::Legacy { .. } => PollFlags::IN,
            Source::Unified => PollFlags::PRI,
        }
    }

    /// Makes it ready to fire again. Ask [`Cgroup::oom_kills`] then: the group also wakes the watch when it goes
    /// away, and on version 2 for other memory events. True when memory ran out and the kernel is about to kill, which
    /// only version 1 tells.
    pub fn acknowledge(&self) -> io::Result<bool> {
        let mut buffer = [0u8; 512];
        match self.source {
            Source::Legacy { .. } => match rustix::io::read(&self.fd, &mut buffer[..8]) {
                Ok(_) => Ok(true),
                Err(rustix::io::Errno::AGAIN) => Ok(false),
                Err(error) => Err(error.into()),
            },
            Source::Unified => rustix::io::pread(&self.fd, &mut buffer, 0).map(|_| false).map_err(io::Error::from),
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

// === impl Cgroup ===

impl Cgroup {
    /// Processes of the group that the kernel killed for lack of memory so far. On version 2 those of groups below
    /// count too.
    pub fn oom_kills(&self) -> Result<u64, Error> {
        let path = match self.legacy_directory(Controller::Memory) {
            Some(directory) => directory.join("memory.oom_control"),
            None => match self.unified_directory() {
                Some(directory) => directory.join("memory.events"),
                None => return Ok(0),
            },
        };
        Ok(files::value_of(&files::read(&path)?, "oom_kill").unwrap_or(0))
    }

    /// A watch on out-of-memory conditions in the group.
    pub fn oom_watch(&self) -> Result<OomWatch, Error> {
        match (self.legacy_directory(Controller::Memory), self.unified_directory()) {
            (Some(directory), _) => {
                let path = directory.join("memory.oom_control");
                let failed = |source: io::Error| Error::Watch { path: path.clone(), source };
                let control = File::open(&path).map_err(failed)?;
                let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| failed(e.into()))?;
                files::set(
                    &directory,
                    "cgroup.event_control",
                    format!("{} {}", event.as_raw_fd(), control.as_raw_fd()),
                )?;
                Ok(OomWatch { fd: event, source: Source::Legacy { _control: control } })
            }
            (None, Some(directory)) => {
                let path = directory.join("memory.events");
                let file = File::open(&path).map_err(|source| Error::Watch { path: path.clone(), source })?;
                // The first read arms the file: before it, every poll returns at once.
                file.read_at(&mut [0u8; 512], 0).map_err(|source| Error::Watch { path, source })?;
                Ok(OomWatch { fd: file.into(), source: Source::Unified })
            }
            (None, None) => Err(Error::Unsupported { setting: "memory", reason: "no memory controller is mounted" }),
        }
    }
}
