//! Joining namespaces.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Error, Step};
use crate::plan::namespace_flag;
use crate::spec::NamespaceKind;

/// Namespace files, opened before the first is joined: afterwards their paths may mean something else.
#[derive(Debug)]
pub(crate) struct OpenNamespaces(Vec<(NamespaceKind, PathBuf, OwnedFd)>);

// === impl OpenNamespaces ===

impl OpenNamespaces {
    /// Opens the files. Where a user namespace is wanted, a file of another kind stands for the one that owns it.
    pub fn open(paths: &[(NamespaceKind, PathBuf)]) -> Result<Self, Error> {
        let mut opened = Vec::with_capacity(paths.len());
        for (kind, path) in paths {
            let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(Error::step(Step::Namespace, path.display()))?;
            let fd = match kind {
                NamespaceKind::User => {
                    sys::user_namespace::owner(fd.as_fd()).map_err(Error::step(Step::Namespace, path.display()))?
                }
                _ => fd,
            };
            opened.push((*kind, path.clone(), fd));
        }
        // The mount namespace last: it changes the root.
        opened.sort_by_key(|(kind, ..)| *kind == NamespaceKind::Mount);
        Ok(Self(opened))
    }

    /// Joins them all. Those that need the host's power go before the user namespace, those that only its own root
    /// may join after it; `between` is done before it.
    pub fn join(self, between: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let (users, others): (Vec<_>, Vec<_>) = self.0.into_iter().partition(|(kind, ..)| *kind == NamespaceKind::User);
        let mut refused = Vec::new();
        for entry in others {
            match join(entry.0, &entry.2) {
                Err(Errno::PERM) if !users.is_empty() => refused.push(entry),
                result => result.map_err(Error::step(Step::Namespace, entry.1.display()))?,
            }
        }
        between()?;
        for (kind, path, fd) in users.into_iter().chain(refused) {
            join(kind, &fd).map_err(Error::step(Step::Namespace, path.display()))?;
            if kind == NamespaceKind::User {
                crate::init::become_namespace_root()?;
            }
        }
        Ok(())
    }
}

fn join(kind: NamespaceKind, fd: &OwnedFd) -> Result<(), Errno> {
    let kind = match kind {
        NamespaceKind::Pid => Some(LinkNameSpaceType::ProcessID),
        NamespaceKind::Network => Some(LinkNameSpaceType::Network),
        NamespaceKind::Mount => Some(LinkNameSpaceType::Mount),
        NamespaceKind::Ipc => Some(LinkNameSpaceType::InterProcessCommunication),
        NamespaceKind::Uts => Some(LinkNameSpaceType::HostNameAndNISDomainName),
        NamespaceKind::User => Some(LinkNameSpaceType::User),
        NamespaceKind::Cgroup => Some(LinkNameSpaceType::ControlGroup),
        NamespaceKind::Time => Some(LinkNameSpaceType::Time),
    };
    move_into_link_name_space(fd.as_fd(), kind)
}

/// Kinds in which a process differs from the caller, as `CLONE_NEW*` bits. `None` when it is gone.
pub(crate) fn different(pid: i32) -> Option<u32> {
    use NamespaceKind::{Cgroup, Ipc, Mount, Network, Pid, Time, User, Uts};
    let names = [
        (Pid, "pid"),
        (Network, "net"),
        (Mount, "mnt"),
        (Ipc, "ipc"),
        (Uts, "uts"),
        (User, "user"),
        (Cgroup, "cgroup"),
        (Time, "time"),
    ];
    let mut bits = 0;
    for (kind, name) in names {
        // A kernel without this kind has it nowhere.
        let Ok(own) = rustix::fs::stat(format!("/proc/self/ns/{name}")) else { continue };
        let theirs = rustix::fs::stat(format!("/proc/{pid}/ns/{name}")).ok()?;
        if (own.st_dev, own.st_ino) != (theirs.st_dev, theirs.st_ino) {
            bits |= namespace_flag(kind) as u32;
        }
    }
    Some(bits)
}
