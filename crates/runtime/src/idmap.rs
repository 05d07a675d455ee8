//! Mapping the ids of mounts, by a user namespace that exists only for that.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Gid, Pid, Uid, WaitOptions, waitpid};
use rustix::thread::{capabilities, set_capabilities, set_thread_res_gid, set_thread_res_uid};
use sys::clone3::{CloneOptions, Cloned, clone3, exit_now};
use sys::mount_setattr::{MountAttributes, mount_setattr};

use crate::error::{Error, Step};
use crate::plan::{MountStep, Plan, Recursion, map_text};
use crate::spec::IdMapping;

/// The namespace, kept alive by its descriptor.
#[derive(Debug)]
pub(crate) struct UserNamespace(OwnedFd);

// === impl UserNamespace ===

impl UserNamespace {
    /// Makes a namespace with these maps. It takes a process, which ends before this returns.
    pub fn new(uids: &[IdMapping], gids: &[IdMapping]) -> Result<Self, Error> {
        let failed = Error::step::<std::io::Error>;
        let (reader, writer) = std::io::pipe().map_err(failed(Step::IdMap, "pipe"))?;
        let options = CloneOptions { namespaces: libc::CLONE_NEWUSER as u64, ..CloneOptions::default() };
        let pid = match clone3(options).map_err(failed(Step::Clone, "user namespace"))? {
            Cloned::Parent { pid, .. } => pid,
            Cloned::Child => {
                drop(writer);
                // Until the parent closes its end.
                let _ = (&reader).read(&mut [0]);
                exit_now(0)
            }
        };
        let result = Self::of(pid, uids, gids);
        let _ = (&writer).write(&[0]);
        let _ = rustix::io::retry_on_intr(|| waitpid(Pid::from_raw(pid), WaitOptions::empty()));
        result
    }

    fn of(pid: i32, uids: &[IdMapping], gids: &[IdMapping]) -> Result<Self, Error> {
        for (file, map) in [("uid_map", uids), ("gid_map", gids)] {
            let text = map_text(map);
            std::fs::write(format!("/proc/{pid}/{file}"), &text).map_err(Error::step(Step::IdMap, text.trim_end()))?;
        }
        let path = format!("/proc/{pid}/ns/user");
        let fd = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        fd.map(Self).map_err(Error::step(Step::Namespace, path))
    }
}

impl AsFd for UserNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Maps the ids of a detached mount if its options say so: by its own mappings, or else the container's.
pub(crate) fn map_mount(plan: &Plan, step: &MountStep, tree: &OwnedFd) -> Result<(), Error> {
    let Some(recursion) = step.options.idmap else { return Ok(()) };
    let (mut uids, mut gids) = (&step.uid_mappings, &step.gid_mappings);
    if uids.is_empty() && gids.is_empty() {
        (uids, gids) = (&plan.uid_mappings, &plan.gid_mappings);
    }
    if uids.is_empty() || gids.is_empty() {
        return Err(Error::invalid("mounts", format!("{}: idmap without mappings", step.destination.display())));
    }
    let namespace = UserNamespace::new(uids, gids)?;
    let attributes = MountAttributes { idmap: Some(namespace.as_fd()), ..MountAttributes::default() };
    let origin = format!("of the mount {} (the kernel and its file system must know idmapped mounts)", step.origin());
    mount_setattr(tree.as_fd(), recursion == Recursion::Recursive, attributes).map_err(Error::step(Step::IdMap, origin))
}

/// Runs `action` with the container's root as owner of what it makes, and all other powers kept. A file system on
/// mapped mounts remembers who mounted it and makes files as that user: on a mapped mount the host's root is nobody.
pub(crate) fn as_mapped_root(plan: &Plan, action: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let root = |map: &[IdMapping]| map.iter().find(|entry| entry.container_id == 0).map_or(0, |entry| entry.host_id);
    let (uid, gid) = (Uid::from_raw(root(&plan.uid_mappings)), Gid::from_raw(root(&plan.gid_mappings)));
    let failed = Error::step::<rustix::io::Errno>;
    let user = || failed(Step::User, "mapped root");
    let mut sets = capabilities(None).map_err(failed(Step::Capabilities, ""))?;
    set_thread_res_gid(None, gid, None).map_err(user())?;
    set_thread_res_uid(None, uid, None).map_err(user())?;
    // Leaving user 0 took the effective ones away.
    sets.effective = sets.permitted;
    set_capabilities(None, sets).map_err(failed(Step::Capabilities, "mapped root"))?;
    let result = action();
    set_thread_res_uid(None, Uid::ROOT, None).map_err(user())?;
    set_thread_res_gid(None, Gid::ROOT, None).map_err(user())?;
    result
}
