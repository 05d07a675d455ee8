//! Masked and read-only paths, and kernel parameters: what of /proc and /sys the container sees.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::mount::OpenTreeFlags;

use super::mounts::{attach, make_readonly, mount};
use crate::error::{Error, Step};
use crate::plan::Plan;
use crate::root::{Root, descriptor_path, is_directory};

/// Hides the masked paths: files behind /dev/null, directories behind an empty read-only tmpfs.
pub(crate) fn mask(plan: &Plan, root: &Root) -> Result<(), Error> {
    let mut empty: Option<OwnedFd> = None;
    for path in &plan.masked {
        let failed =
            |error: io::Error| Error::Step { step: Step::Mask, target: path.display().to_string(), source: error };
        let Some(target) = existing(root, path).map_err(failed)? else { continue };
        if !is_directory(&target).map_err(failed)? {
            let null = null_device(root).map_err(failed)?;
            attach(null.as_fd(), target.as_fd()).map_err(failed)?;
        } else if let Some(first) = &empty {
            // One tmpfs serves them all.
            let copy = clone_of(first).map_err(failed)?;
            attach(copy.as_fd(), target.as_fd()).map_err(failed)?;
        } else {
            mount("tmpfs", &target, "tmpfs", libc::MS_RDONLY, "").map_err(failed)?;
            empty = Some(root.open(path, OFlags::PATH | OFlags::DIRECTORY).map_err(failed)?);
        }
    }
    Ok(())
}

/// Makes the read-only paths mounts of their own that cannot be written through.
pub(crate) fn make_paths_readonly(plan: &Plan, root: &Root) -> Result<(), Error> {
    for path in &plan.readonly_paths {
        let failed =
            |error: io::Error| Error::Step { step: Step::ReadOnly, target: path.display().to_string(), source: error };
        let Some(target) = existing(root, path).map_err(failed)? else { continue };
        let copy = clone_tree(&target).map_err(failed)?;
        attach(copy.as_fd(), target.as_fd()).map_err(failed)?;
        make_readonly(&copy).map_err(failed)?;
    }
    Ok(())
}

/// Writes the kernel parameters, through the container's own /proc where it has one: paths below `/proc/sys` are then
/// those of its namespaces, and nothing but that file system is on the way.
pub(crate) fn write_parameters(plan: &Plan, root: &Root, host_proc: &OwnedFd) -> Result<(), Error> {
    let foreign = plan.foreign_network();
    let parameters: Vec<_> = plan.sysctl.iter().filter(|(path, _)| !(foreign && path.starts_with("net"))).collect();
    if parameters.is_empty() {
        return Ok(());
    }
    let own = root.open_plain(Path::new("/proc"), OFlags::PATH | OFlags::DIRECTORY).ok();
    let own = own.filter(|fd| is_proc(fd).unwrap_or(false));
    write_below(own.as_ref().unwrap_or(host_proc), parameters)
}

/// Writes those of a network namespace that the container does not own, from inside it and with the host's powers.
pub(crate) fn write_network_parameters(plan: &Plan, host_proc: &OwnedFd) -> Result<(), Error> {
    write_below(host_proc, plan.sysctl.iter().filter(|(path, _)| path.starts_with("net")))
}

fn write_below<'a>(proc: &OwnedFd, parameters: impl IntoIterator<Item = &'a (PathBuf, String)>) -> Result<(), Error> {
    for (path, value) in parameters {
        let failed = Error::step::<io::Error>(Step::Sysctl, path.display());
        let write = || -> io::Result<()> {
            let resolve = rustix::fs::ResolveFlags::BENEATH
                | rustix::fs::ResolveFlags::NO_SYMLINKS
                | rustix::fs::ResolveFlags::NO_XDEV;
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            let file = rustix::fs::openat2(proc, Path::new("sys").join(path), flags, Mode::empty(), resolve)?;
            rustix::io::write(&file, value.as_bytes())?;
            Ok(())
        };
        write().map_err(failed)?;
    }
    Ok(())
}

/// Whether a descriptor is of a proc file system, and not of something that was put in its place.
pub(crate) fn is_proc(fd: &OwnedFd) -> io::Result<bool> {
    const PROC_SUPER_MAGIC: i64 = 0x9fa0;
    Ok(rustix::fs::fstatfs(fd)?.f_type as i64 == PROC_SUPER_MAGIC)
}

fn existing(root: &Root, path: &Path) -> io::Result<Option<OwnedFd>> {
    match root.open(path, OFlags::PATH) {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A detached mount of the null device: the container's, or else the host's. Whatever else is at that name (an image
/// can put anything there) must not end up over /proc/kcore.
fn null_device(root: &Root) -> io::Result<OwnedFd> {
    let inside = root.open_plain(Path::new("/dev/null"), OFlags::PATH).ok().filter(|fd| is_null(fd).unwrap_or(false));
    let null = match inside {
        Some(fd) => fd,
        None => rustix::fs::open("/dev/null", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?,
    };
    if !is_null(&null)? {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    clone_of(&null)
}

fn is_null(fd: &OwnedFd) -> io::Result<bool> {
    let stat = rustix::fs::statat(fd, "", AtFlags::EMPTY_PATH)?;
    let character = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_char_device();
    Ok(character && (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)) == (1, 3))
}

/// A new mount of what a descriptor shows.
fn clone_of(fd: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(rustix::mount::open_tree(fd, "", flags)?)
}

fn clone_tree(fd: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    Ok(rustix::mount::open_tree(rustix::fs::CWD, descriptor_path(fd), flags)?)
}
