//! Performing mounts inside the root file system.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags};
use sys::mount_setattr::{MountAttributes, mount_setattr};

use super::copy_up;
use crate::error::Error;
use crate::idmap;
use crate::plan::{Attributes, MountAction, MountOptions, MountStep, Plan, Recursion};
use crate::root::{Root, descriptor_path, is_directory};

/// A mount to be made read-only once everything below it is in place.
#[derive(Debug)]
pub(crate) struct LateReadOnly(pub OwnedFd);

/// A mount that makes the root file system: its destination is the host's.
pub(crate) fn mount_on_host(plan: &Plan, step: &MountStep) -> Result<(), Error> {
    let host = Root::open_host(Path::new("/")).map_err(|error| step.failed(error))?;
    match &step.action {
        MountAction::Bind { source, recursion, subpath } => {
            let tree = open_part(source, subpath, *recursion).map_err(|error| step.failed(error))?;
            idmap::map_mount(plan, step, &tree)?;
            attach_bind(&host, step, tree)
        }
        _ if overlay_needs_shortening(step) => mount_long_overlay(step).map_err(|error| step.failed(error)),
        _ => mount_file_system(&host, step).map(drop),
    }
}

/// Opens the source of a bind as a mount of its own, attached nowhere yet.
pub(crate) fn open_bind(source: &Path, recursion: Recursion) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursion == Recursion::Recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(rustix::mount::open_tree(rustix::fs::CWD, source, flags)?)
}

/// As [`open_bind`], of a part of the source. Links in it are followed as long as they stay below the source, whoever
/// changes them meanwhile.
pub(crate) fn open_part(source: &Path, subpath: &Path, recursion: Recursion) -> io::Result<OwnedFd> {
    if subpath.as_os_str().is_empty() {
        return open_bind(source, recursion);
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let base = rustix::fs::open(source, flags, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let part = rustix::fs::openat2(&base, subpath, flags, Mode::empty(), resolve)?;
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursion == Recursion::Recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(rustix::mount::open_tree(&part, "", flags)?)
}

/// Sets the attributes of a detached bind and attaches it.
pub(crate) fn attach_bind(root: &Root, step: &MountStep, tree: OwnedFd) -> Result<(), Error> {
    let failed = |error: io::Error| step.failed(error);
    let target = match is_directory(&tree).map_err(failed)? {
        true => root.directory(&step.destination),
        false => root.file(&step.destination),
    };
    let target = target.map_err(failed)?;
    let old_kernel = set_attributes(&tree, &step.options).map_err(failed)?;
    attach(tree.as_fd(), target.as_fd()).map_err(failed)?;
    if old_kernel {
        remount_bind(&tree, step.options.attributes).map_err(failed)?;
    }
    propagate(&tree, &step.options).map_err(failed)
}

/// Attaches a detached mount on an open file or directory.
pub(crate) fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount, "", target, "", flags)?)
}

/// Makes a new instance of a file system. The second value is a mount that was asked to be read-only and is not yet.
pub(crate) fn mount_file_system(root: &Root, step: &MountStep) -> Result<Option<LateReadOnly>, Error> {
    let MountAction::FileSystem { kind, source } = &step.action else { return Ok(None) };
    let failed = |error: io::Error| step.failed(error);
    // A link at /proc or /sys would put the real one elsewhere and leave writes to it unguarded.
    let target = match kind.as_str() {
        "proc" | "sysfs" => plain_directory(root, &step.destination),
        _ => root.directory(&step.destination),
    };
    let target = target.map_err(failed)?;
    let mut flags = step.options.flags;
    let mut data = step.options.data.clone();
    let late = kind == "tmpfs" && flags & libc::MS_RDONLY != 0;
    if kind == "tmpfs" {
        flags &= !libc::MS_RDONLY;
        if !data.iter().any(|option| option.starts_with("mode=")) {
            // The image's directory keeps its mode, /tmp its sticky bit.
            let stat = rustix::fs::statat(&target, "", AtFlags::EMPTY_PATH).map_err(|error| failed(error.into()))?;
            data.insert(0, format!("mode={:04o}", stat.st_mode & 0o7777));
        }
    }
    mount(source, &target, kind, flags, &data.join(",")).map_err(failed)?;
    let options = &step.options;
    if !late && !options.copy_up && options.propagation.is_empty() && options.recursive.is_empty() {
        return Ok(None);
    }
    let mounted = root.open(&step.destination, OFlags::PATH | OFlags::DIRECTORY).map_err(failed)?;
    if options.copy_up {
        copy_up::copy(&target, &mounted).map_err(failed)?;
    }
    if !options.recursive.is_empty() {
        change(&mounted, true, options.recursive).map_err(failed)?;
    }
    propagate(&mounted, options).map_err(failed)?;
    Ok(late.then_some(LateReadOnly(mounted)))
}

/// Attaches a detached instance of a file system that was made for here.
pub(crate) fn attach_file_system(root: &Root, step: &MountStep, tree: OwnedFd) -> Result<(), Error> {
    plain_directory(root, &step.destination).map_err(|error| step.failed(error))?;
    attach_bind(root, step, tree)
}

fn plain_directory(root: &Root, path: &Path) -> io::Result<OwnedFd> {
    match root.open_plain(path, OFlags::PATH | OFlags::DIRECTORY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => root.directory(path),
        result => result,
    }
}

/// mount(2) onto an open directory.
pub(crate) fn mount(source: &str, target: &OwnedFd, kind: &str, flags: libc::c_ulong, data: &str) -> io::Result<()> {
    let data = std::ffi::CString::new(data)?;
    let flags = MountFlags::from_bits_retain(flags as u32);
    let data = (!data.is_empty()).then_some(data.as_c_str());
    Ok(rustix::mount::mount(source, descriptor_path(target), kind, flags, data)?)
}

/// Applies the attributes before the mount is visible. True when this kernel cannot (before Linux 5.12) and the
/// plain ones have to be set by remounting.
fn set_attributes(tree: &OwnedFd, options: &MountOptions) -> io::Result<bool> {
    let mut old_kernel = false;
    for (recursive, attributes) in [(false, options.attributes), (true, options.recursive)] {
        if attributes.is_empty() {
            continue;
        }
        match change(tree, recursive, attributes) {
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) && !recursive => old_kernel = true,
            result => result?,
        }
    }
    Ok(old_kernel)
}

fn change(mount: &OwnedFd, recursive: bool, attributes: Attributes) -> io::Result<()> {
    let attributes = MountAttributes { set: attributes.set, clear: attributes.clear, ..MountAttributes::default() };
    mount_setattr(mount.as_fd(), recursive, attributes)
}

/// The way of older kernels: what is not mentioned in a remount is cleared, so the present flags go along.
/// `MOUNT_ATTR_*` and `ST_*` bits agree for the first four, and access times are left to the kernel, which keeps them.
fn remount_bind(mount: &OwnedFd, attributes: Attributes) -> io::Result<()> {
    const BASIC: u64 = 0xf;
    let present = rustix::fs::fstatvfs(mount)?.f_flag.bits() & BASIC;
    let flags = ((present & !attributes.clear) | attributes.set) & BASIC;
    let flags = MountFlags::from_bits_retain(flags as u32 | libc::MS_BIND as u32);
    Ok(rustix::mount::mount_remount(descriptor_path(mount), flags, "")?)
}

/// Makes a mount read-only, keeping its other flags.
pub(crate) fn make_readonly(mount: &OwnedFd) -> io::Result<()> {
    let attributes = Attributes { set: sys::mount_setattr::MOUNT_ATTR_RDONLY, clear: 0 };
    match change(mount, false, attributes) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => remount_bind(mount, attributes),
        result => result,
    }
}

/// Applies the propagation changes of a mount, in order.
pub(crate) fn propagate(mount: &OwnedFd, options: &MountOptions) -> io::Result<()> {
    for &flags in &options.propagation {
        let flags = MountPropagationFlags::from_bits_retain(flags as u32);
        rustix::mount::mount_change(descriptor_path(mount), flags)?;
    }
    Ok(())
}

/// mount(2) takes one page of options.
fn overlay_needs_shortening(step: &MountStep) -> bool {
    let MountAction::FileSystem { kind, .. } = &step.action else { return false };
    let length: usize = step.options.data.iter().map(|option| option.len() + 1).sum();
    kind == "overlay" && length >= rustix::param::page_size()
}

/// An overlay of many layers: the names are made relative to the directory that all lower ones share, and the mount
/// is performed from there.
fn mount_long_overlay(step: &MountStep) -> io::Result<()> {
    let lower = step.options.data.iter().find_map(|option| option.strip_prefix("lowerdir="));
    let common = lower.and_then(common_parent).ok_or(io::ErrorKind::InvalidInput)?;
    let prefix = format!("{common}/");
    let shorten = |option: &String| match option.split_once('=') {
        Some(("lowerdir", list)) => {
            let names: Vec<_> = list.split(':').map(|path| path.strip_prefix(&prefix).unwrap_or(path)).collect();
            format!("lowerdir={}", names.join(":"))
        }
        _ => option.clone(),
    };
    let data: Vec<String> = step.options.data.iter().map(shorten).collect();
    let target = rustix::fs::open(&step.destination, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let here = rustix::fs::open(".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::process::chdir(common)?;
    let result = mount("overlay", &target, "overlay", step.options.flags, &data.join(","));
    rustix::process::fchdir(&here)?;
    result
}

/// The directory that holds every path of a list separated by colons.
fn common_parent(list: &str) -> Option<&str> {
    let parent = list.split(':').next()?.rsplit_once('/')?.0;
    list.split(':').all(|path| path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))).then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_overlays_share_a_parent() {
        assert_eq!(common_parent("/data/overlay2/l/ABC:/data/overlay2/l/DEF"), Some("/data/overlay2/l"));
        assert_eq!(common_parent("/data/overlay2/l/ABC:/elsewhere/DEF"), None);
        assert_eq!(common_parent("/a/b/x"), Some("/a/b"));
    }
}
