//! Network namespaces that outlive the thread that made them, by a mount that pins them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, statx};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::netlink::RouteSocket;
use crate::user_namespace::{Holder, Users};

/// Index of `lo`: the kernel makes it first in every namespace.
const LOOPBACK: u32 = 1;

/// Makes `directory` a mount of its own with shared propagation, so that a pin taken away here also goes away in mount
/// namespaces that were copied meanwhile (as slaves), and one unmount rids a copy of all pins. Idempotent.
pub fn prepare_pin_directory(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let found = statx(rustix::fs::CWD, directory, AtFlags::NO_AUTOMOUNT, StatxFlags::empty())?;
    if !found.stx_attributes.contains(rustix::fs::StatxAttributes::MOUNT_ROOT) {
        mount_bind(directory, directory)?;
    }
    Ok(mount_change(directory, MountPropagationFlags::SHARED)?)
}

/// Undoes [`prepare_pin_directory`], if no pin is left in it.
pub fn release_pin_directory(directory: &Path) -> io::Result<()> {
    if std::fs::read_dir(directory)?.next().is_some() {
        return Ok(());
    }
    Ok(unmount(directory, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?)
}

/// Makes a network namespace with its loopback device up and pins it at `path`, which must not exist. Returns the
/// namespace and a routing socket inside it; as long as that socket is open the namespace lives.
pub fn create_pinned(path: &Path) -> io::Result<(OwnedFd, RouteSocket)> {
    let pin = rustix::fs::open(path, OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, Mode::RUSR)?;
    drop(pin);
    let made = in_own_thread(|| {
        // SAFETY: a network namespace changes nothing that other threads or memory depend on; the thread ends here.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
        let namespace = current()?;
        let mut socket = RouteSocket::open()?;
        socket.set_up(LOOPBACK)?;
        mount_bind("/proc/thread-self/ns/net", path)?;
        Ok((namespace, socket))
    });
    if made.is_err() {
        let _ = std::fs::remove_file(path);
    }
    made
}

/// As [`create_pinned`], owned by a user namespace, which lives as long: [`crate::user_namespace::owner`] finds it.
pub fn create_owned(path: &Path, users: Users<'_>) -> io::Result<(OwnedFd, RouteSocket)> {
    let pin = rustix::fs::open(path, OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, Mode::RUSR)?;
    drop(pin);
    let make = || {
        let holder = Holder::new(users)?;
        let namespace = open_pin(&holder.file("net"))?;
        let mut socket = open_socket(&namespace)?;
        socket.set_up(LOOPBACK)?;
        mount_bind(holder.file("net"), path)?;
        Ok((namespace, socket))
    };
    let made = make();
    if made.is_err() {
        let _ = std::fs::remove_file(path);
    }
    made
}

/// Opens a routing socket inside a namespace.
pub fn open_socket(namespace: impl AsFd + Sync) -> io::Result<RouteSocket> {
    within(namespace, RouteSocket::open)
}

/// Does something inside a namespace: sockets that `work` opens stay there.
pub fn within<T: Send>(namespace: impl AsFd + Sync, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    in_own_thread(|| {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        work()
    })
}

/// Pins a namespace that exists, e.g. `/proc/1234/ns/net`, at `path`, which must not exist.
pub fn pin(namespace: &Path, path: &Path) -> io::Result<()> {
    drop(rustix::fs::open(path, OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, Mode::RUSR)?);
    let pinned = mount_bind(namespace, path);
    if pinned.is_err() {
        let _ = std::fs::remove_file(path);
    }
    Ok(pinned?)
}

/// The calling thread's network namespace.
pub fn current() -> io::Result<OwnedFd> {
    open_pin(Path::new("/proc/thread-self/ns/net"))
}

/// Opens a pinned namespace.
pub fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Takes a pin away. Absent is fine.
pub fn unpin(path: &Path) -> io::Result<()> {
    match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        // EINVAL: a file that never became a mount, left by a crash in between.
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Runs `work` in a fresh thread: it may change its namespaces, and dies with them instead of having to come back.
fn in_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the namespace thread panicked")))
    })
}
