//! Limits on what a container's writable layer or a volume takes, by project quotas of the file system below (xfs mounted
//! with `pquota`, ext4 with the features `project` and `quota` mounted with `prjquota`).
//!
//! Nothing is written down here: a project has a limit and files in the file system's own records. One is free while no
//! file belongs to it, whatever limit an earlier owner has left; so none is used again before the last file of its former
//! owner has gone, whichever daemon saw that.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::driver::open_directory;
use crate::{Error, Result};

/// The first of our projects: far from the numbers that people write into `/etc/projid`.
const FIRST: u32 = 1 << 24;
const LAST: u32 = u32::MAX - 1;

/// The projects of one data root.
#[derive(Debug)]
pub(crate) struct Quotas {
    root: PathBuf,
    /// The next to look at; held while one is taken.
    next: Mutex<u32>,
}

// === impl Quotas ===

impl Quotas {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), next: Mutex::new(FIRST) }
    }

    /// Why there are no limits here; nothing when there are.
    pub(crate) fn missing(&self) -> Option<String> {
        let enforced = self.directory().and_then(|directory| {
            sys::project_quota::is_enforced(directory.as_fd())
                .map_err(|source| Error::io("quotactl", &self.root, source))
        });
        let file_system = crate::store::backing_file_system(&self.root);
        let reason = match enforced {
            Ok(true) => return None,
            Ok(false) => "is mounted without limits for projects".to_owned(),
            Err(Error::Io { source, .. }) if source.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
                "has its quotas turned off".to_owned()
            }
            Err(Error::Io { source, .. }) if source.raw_os_error() == Some(rustix::io::Errno::NOSYS.raw_os_error()) => {
                "has no quotas, or the kernel has none (it takes Linux 5.14)".to_owned()
            }
            Err(error) => format!("cannot be asked ({error})"),
        };
        Some(format!("the {file_system} file system of {} {reason}", self.root.display()))
    }

    /// Limits directories that are still empty, together: what will be made in them counts.
    pub(crate) fn limit(&self, directories: &[&Path], bytes: u64) -> Result<()> {
        let [first, others @ ..] = directories else { return Ok(()) };
        let root = self.directory()?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| Error::io("limit", &path, source)
        };
        let assign = |path: &Path, project| {
            sys::project_quota::assign(open_directory(path)?.as_fd(), project).map_err(failed(path))
        };
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let inodes = |project| sys::project_quota::inodes(root.as_fd(), project).map_err(failed(&self.root));
        for _ in FIRST..LAST {
            let project = *next;
            *next = if project == LAST { FIRST } else { project + 1 };
            if inodes(project)? > 0 {
                continue;
            }
            sys::project_quota::set_limit(root.as_fd(), project, bytes).map_err(failed(&self.root))?;
            assign(first, project)?;
            // Another daemon of this file system may have had the same thought.
            if inodes(project)? == 1 {
                return others.iter().try_for_each(|path| assign(path, project));
            }
        }
        Err(failed(&self.root)(io::Error::other("every project of the file system is in use")))
    }

    fn directory(&self) -> Result<OwnedFd> {
        open_directory(&self.root)
    }
}
