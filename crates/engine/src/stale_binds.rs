//! Binds whose source is another file by now: who replaces a file by renaming a new one over it, as editors do, leaves
//! the container with the old one.

use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat2, stat};

use crate::model::MountPoint;

/// Destinations of stale binds in the container of this process. One that cannot be looked at is not counted.
pub(crate) fn find(pid: i32, points: &[MountPoint]) -> Vec<String> {
    let binds = points.iter().filter(|point| point.kind == "bind");
    binds.filter(|point| is_stale(pid, point)).map(|point| point.destination.clone()).collect()
}

fn is_stale(pid: i32, point: &MountPoint) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(Path::new("/proc").join(pid.to_string()).join("root"), flags, Mode::empty());
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let inside = root
        .and_then(|root| openat2(&root, &point.destination, flags, Mode::empty(), resolve))
        .and_then(|inside| fstat(&inside));
    let Ok(inside) = inside else { return false };
    match stat(&point.source) {
        Ok(source) => (source.st_dev, source.st_ino) != (inside.st_dev, inside.st_ino),
        Err(error) => error == rustix::io::Errno::NOENT,
    }
}
