//! What is done with the host's powers before the container's process is in a user namespace, where it has none:
//! opening what lies behind directories closed to it, and touching what belongs to namespaces that it only joins.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use sys::mount_setattr::{MountAttributes, mount_setattr};

use crate::error::{Error, Step};
use crate::idmap;
use crate::init::{self, finish, hide, mounts, rootfs};
use crate::namespaces::OpenNamespaces;
use crate::plan::{MountAction, MountStep, Plan};
use crate::spec::NamespaceKind;

/// Opens the sources of binds that the container's process could not: those its user namespace has no right to, and
/// those whose ids are mapped. By index of the mount.
pub(crate) fn open_binds(plan: &Plan) -> Result<Vec<Option<OwnedFd>>, Error> {
    plan.mounts.iter().map(|step| if plan.is_staged(step) { Ok(None) } else { open_one(plan, step) }).collect()
}

fn open_one(plan: &Plan, step: &MountStep) -> Result<Option<OwnedFd>, Error> {
    match &step.action {
        MountAction::Bind { source, recursion, subpath }
            if plan.namespaces.in_user() || step.options.idmap.is_some() =>
        {
            let failed = |error: io::Error| step.failed(error);
            let tree = mounts::open_part(source, subpath, *recursion).map_err(failed)?;
            // What is mounted inside must not travel back to the host.
            let slave = MountAttributes { propagation: libc::MS_SLAVE, ..MountAttributes::default() };
            mount_setattr(tree.as_fd(), true, slave).map_err(failed)?;
            idmap::map_mount(plan, step, &tree)?;
            Ok(Some(tree))
        }
        _ => Ok(None),
    }
}

/// Sources that were mounted just now, together with the root file system.
fn open_staged(plan: &Plan, trees: &mut [Option<OwnedFd>]) -> Result<(), Error> {
    for (step, tree) in plan.mounts.iter().zip(trees) {
        if plan.is_staged(step) {
            *tree = open_one(plan, step)?;
        }
    }
    Ok(())
}

/// The launcher's part. Leaves it in the root file system where that was mounted: the process cannot walk there.
pub(crate) fn prepare(plan: &Plan, trees: &mut [Option<OwnedFd>]) -> Result<(), Error> {
    let namespaces = &plan.namespaces;
    let joins = OpenNamespaces::open(&namespaces.joins)?;
    if let Some(offsets) = &namespaces.new_time {
        let failed = |what| Error::step::<io::Error>(Step::TimeOffsets, what);
        sys::unshare::unshare_namespaces(libc::CLONE_NEWTIME).map_err(failed(""))?;
        if !offsets.is_empty() {
            std::fs::write("/proc/self/timens_offsets", offsets).map_err(failed(offsets.trim_end()))?;
        }
    }
    init::set_undumpable()?;
    if plan.launcher_mounts_rootfs() {
        sys::unshare::unshare_namespaces(libc::CLONE_NEWNS).map_err(Error::step(Step::Namespace, "mount"))?;
        rootfs::set_propagation(plan)?;
        rootfs::mount(plan)?;
        open_staged(plan, trees)?;
        rustix::process::chdir(&plan.rootfs).map_err(Error::step(Step::Rootfs, plan.rootfs.display()))?;
    }
    let proc = finish::open_proc()?;
    joins.join(|| match plan.foreign_network() {
        true => {
            hide::write_network_parameters(plan, &proc)?;
            open_sysfs(plan, trees)
        }
        false => Ok(()),
    })
}

/// sysfs shows a network namespace, and only that namespace's owner may mount it.
fn open_sysfs(plan: &Plan, trees: &mut [Option<OwnedFd>]) -> Result<(), Error> {
    for (step, tree) in plan.mounts.iter().zip(trees) {
        if matches!(&step.action, MountAction::FileSystem { kind, .. } if kind == "sysfs") {
            let open = || -> rustix::io::Result<OwnedFd> {
                let context = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
                fsconfig_create(&context)?;
                fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
            };
            *tree = Some(open().map_err(|error| step.failed(error))?);
        }
    }
    Ok(())
}

// === impl Plan ===

impl Plan {
    /// Whether the launcher mounts the root file system, for a process that will have no right to.
    pub fn launcher_mounts_rootfs(&self) -> bool {
        self.namespaces.launcher && self.namespaces.in_user() && !self.rootfs_mounts.is_empty()
    }

    /// Whether the source of a bind is there only when what makes the root file system is mounted.
    pub fn is_staged(&self, step: &MountStep) -> bool {
        let MountAction::Bind { source, .. } = &step.action else { return false };
        self.rootfs_mounts.iter().any(|made| made.destination == *source && made.destination != self.rootfs)
    }

    /// Whether the process lives in a user namespace that does not own its network: it is another's or the host's.
    pub fn foreign_network(&self) -> bool {
        let namespaces = &self.namespaces;
        namespaces.launcher && namespaces.in_user() && !namespaces.makes(NamespaceKind::Network)
    }
}
