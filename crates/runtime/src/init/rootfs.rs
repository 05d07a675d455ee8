//! Making a directory the root: propagation, the change of root, read-only.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountPropagationFlags, OpenTreeFlags, UnmountFlags, open_tree};

use super::mounts::{self, attach, make_readonly};
use crate::error::{Error, Step};
use crate::idmap;
use crate::plan::Plan;
use crate::root::Root;

/// Cuts the new mount namespace off from the host's, so that nothing mounted here appears there. Mounts made on the
/// host later still appear here (`rslave`) unless the configuration wants otherwise.
pub(crate) fn set_propagation(plan: &Plan) -> Result<(), Error> {
    let flags = plan.propagation.unwrap_or(libc::MS_SLAVE | libc::MS_REC);
    change("/", flags).map_err(Error::step(Step::Propagation, "/"))?;
    if flags & libc::MS_SHARED != 0 {
        // What is mounted on the root's parent must not travel back to the host, and pivot_root refuses a shared one.
        make_parent_private(&plan.rootfs).map_err(Error::step(Step::Propagation, plan.rootfs.display()))?;
    }
    Ok(())
}

/// The root has to be a mount of its own. It is when one was just mounted there.
pub(crate) fn bind_onto_itself(plan: &Plan) -> Result<(), Error> {
    let mounted = plan.rootfs_mounts.last().is_some_and(|step| step.destination == plan.rootfs);
    // Mounts that came along into a new user namespace are locked in place and cannot become the root.
    if mounted && !plan.namespaces.in_user() {
        return Ok(());
    }
    if plan.propagation.is_some_and(|flags| flags & libc::MS_SHARED != 0) {
        make_parent_private(&plan.rootfs).map_err(Error::step(Step::Propagation, plan.rootfs.display()))?;
    }
    rustix::mount::mount_bind_recursive(&plan.rootfs, &plan.rootfs)
        .map_err(Error::step(Step::Rootfs, plan.rootfs.display()))
}

/// Performs the mounts that make the root file system.
pub(crate) fn mount(plan: &Plan) -> Result<(), Error> {
    let mapped = plan.rootfs_mounts.iter().any(|step| step.options.idmap.is_some());
    for step in &plan.rootfs_mounts {
        match step.options.idmap {
            None if mapped => idmap::as_mapped_root(plan, || mounts::mount_on_host(plan, step))?,
            _ => mounts::mount_on_host(plan, step)?,
        }
    }
    Ok(())
}

/// For a process in a user namespace, which was left in its root file system and could not walk there. That mount came
/// along into the namespace and is locked in place: a copy becomes the root.
pub(crate) fn adopt_working_directory(plan: &Plan) -> Result<Root, Error> {
    let adopt = || -> io::Result<OwnedFd> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let tree = open_tree(rustix::fs::CWD, ".", flags)?;
        attach(tree.as_fd(), open_directory(".")?.as_fd())?;
        Ok(tree)
    };
    adopt().map(Root::from).map_err(Error::step(Step::Rootfs, plan.rootfs.display()))
}

/// Changes the root of this mount namespace and detaches the old one.
pub(crate) fn change_root(plan: &Plan, root: &Root) -> Result<(), Error> {
    let result = if plan.options.no_pivot { move_root(&plan.rootfs, root) } else { pivot(root) };
    result.map_err(Error::step(Step::PivotRoot, plan.rootfs.display()))?;
    if let Some(flags) = plan.propagation.filter(|flags| flags & libc::MS_PRIVATE == 0) {
        change("/", flags).map_err(Error::step(Step::Propagation, "/"))?;
    }
    Ok(())
}

/// Makes the mount of the new root read-only.
pub(crate) fn seal(root: &Root) -> Result<(), Error> {
    let mount =
        root.open(Path::new("/"), OFlags::PATH | OFlags::DIRECTORY).map_err(Error::step(Step::ReadOnly, "/"))?;
    make_readonly(&mount).map_err(Error::step(Step::ReadOnly, "/"))
}

fn pivot(root: &Root) -> io::Result<()> {
    let old = open_directory("/")?;
    rustix::process::fchdir(root)?;
    // With "." for both, the old root ends up on top of the new one and no directory is needed for it.
    rustix::process::pivot_root(".", ".")?;
    rustix::process::fchdir(&old)?;
    // Unmounting must not travel to the host.
    change(".", libc::MS_SLAVE | libc::MS_REC)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")?;
    Ok(())
}

/// For a root file system on ramfs, which cannot be pivoted away from.
fn move_root(rootfs: &Path, root: &Root) -> io::Result<()> {
    // Whatever of the host's proc and sysfs stays mounted could be reached with a second chroot.
    for place in ["/proc", "/sys"] {
        if !rootfs.starts_with(place) {
            let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
            let _ = rustix::mount::mount_change(place, flags);
            let _ = rustix::mount::unmount(place, UnmountFlags::DETACH);
        }
    }
    rustix::process::fchdir(root)?;
    rustix::mount::mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/")?;
    Ok(())
}

fn make_parent_private(path: &Path) -> io::Result<()> {
    for ancestor in path.ancestors() {
        match rustix::mount::mount_change(ancestor, MountPropagationFlags::PRIVATE) {
            // Not a mount point: look further up.
            Err(rustix::io::Errno::INVAL) => {}
            result => return Ok(result?),
        }
    }
    Ok(())
}

fn change(path: &str, flags: libc::c_ulong) -> io::Result<()> {
    Ok(rustix::mount::mount_change(path, MountPropagationFlags::from_bits_retain(flags as u32))?)
}

fn open_directory(path: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}
