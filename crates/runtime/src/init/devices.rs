//! Filling `/dev`.

use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid};
use rustix::io::Errno;

use super::mounts::{attach, open_bind};
use crate::error::{Error, Step};
use crate::plan::{DeviceStep, Plan, Recursion};
use crate::root::Root;

/// Links that programs expect in `/dev`.
const LINKS: [(&str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
];

/// Makes the device nodes and links, unless the container brings its own `/dev`.
pub(crate) fn make(plan: &Plan, root: &Root) -> Result<(), Error> {
    for device in &plan.devices {
        node(root, device, plan.namespaces.in_user()).map_err(Error::step(Step::Device, device.path.display()))?;
    }
    if plan.own_dev {
        for (path, target) in LINKS {
            link(root, Path::new(path), target).map_err(Error::step(Step::Device, path))?;
        }
        if rustix::fs::access("/proc/kcore", rustix::fs::Access::EXISTS).is_ok() {
            link(root, Path::new("/dev/core"), "/proc/kcore").map_err(Error::step(Step::Device, "/dev/core"))?;
        }
    }
    Ok(())
}

fn node(root: &Root, device: &DeviceStep, in_user: bool) -> io::Result<()> {
    // A user namespace may not make nodes; it gets the host's.
    if in_user {
        return bind(root, device);
    }
    let (parent, name) = root.parent(&device.path)?;
    let kind = FileType::from_raw_mode(device.mode);
    let mode = Mode::from_raw_mode(device.mode & 0o7777);
    match rustix::fs::mknodat(&parent, name, kind, mode, rustix::fs::makedev(device.major, device.minor)) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(Errno::PERM) => return bind(root, device),
        Err(error) => return Err(error.into()),
    }
    if (device.uid, device.gid) == (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
    rustix::fs::chownat(&parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn bind(root: &Root, device: &DeviceStep) -> io::Result<()> {
    let source = open_bind(&device.path, Recursion::Single)?;
    let target = root.file(&device.path)?;
    use std::os::fd::AsFd as _;
    attach(source.as_fd(), target.as_fd())
}

fn link(root: &Root, path: &Path, target: &str) -> io::Result<()> {
    let (parent, name) = root.parent(path)?;
    match rustix::fs::symlinkat(target, &parent, name) {
        Ok(()) => Ok(()),
        // A real /dev/ptmx of the image would be another terminal multiplexer than the container's.
        Err(Errno::EXIST) if path == Path::new("/dev/ptmx") => {
            let _ = rustix::fs::unlinkat(&parent, name, AtFlags::empty());
            match rustix::fs::symlinkat(target, &parent, name) {
                Err(Errno::EXIST) | Ok(()) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
