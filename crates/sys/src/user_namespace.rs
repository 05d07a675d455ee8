//! User namespaces and what they own.

use std::io;
use std::io::Read as _;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, WaitOptions, waitpid};

/// `linux/nsfs.h`: the user namespace that owns a namespace.
const NS_GET_USERNS: libc::Ioctl = 0xb701;
/// `linux/nsfs.h`: the kind of a namespace, as its `CLONE_NEW*` bit.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// The user namespace that a namespace file stands for: itself, or the owner of a namespace of another kind.
///
/// # Errors
/// ioctl_nsfs(2); `EPERM` when the owner is outside the caller's.
pub fn owner(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: this request takes no argument and touches no memory.
    let kind = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE) };
    match kind {
        -1 => Err(io::Error::last_os_error()),
        libc::CLONE_NEWUSER => namespace.try_clone_to_owned(),
        // SAFETY: as above.
        _ => match unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: the kernel made a new descriptor that nobody else owns.
            fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        },
    }
}

/// Whose a new namespace is.
#[derive(Clone, Copy, Debug)]
pub enum Users<'a> {
    /// A new user namespace's, with these texts for `uid_map` and `gid_map` (user_namespaces(7)).
    New {
        /// Users.
        uids: &'a str,
        /// Groups.
        gids: &'a str,
    },
    /// That of this file.
    Of(&'a Path),
}

/// A process that does nothing but hold a new network namespace of a user namespace. It ends with this.
#[derive(Debug)]
pub(crate) struct Holder {
    pid: i32,
    /// The process waits for the end of this pipe.
    gate: Option<io::PipeWriter>,
}

// === impl Holder ===

impl Holder {
    /// Starts it. The caller may have any number of threads.
    pub fn new(users: Users<'_>) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let (said, told) = io::pipe()?;
        let joined = match users {
            Users::New { .. } => None,
            Users::Of(path) => Some(std::fs::File::open(path)?),
        };
        let flags = match joined {
            Some(_) => libc::SIGCHLD,
            None => libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::SIGCHLD,
        };
        let (ours, theirs, tell) = (writer.as_raw_fd(), reader.as_raw_fd(), told.as_raw_fd());
        let join = joined.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        // SAFETY: no stack and no CLONE_VM: like fork(2). The child makes nothing but system calls on integers and an
        // array of its own stack, so that no lock another thread held at the moment of the copy is ever wanted.
        let pid = unsafe {
            let pid = libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0, 0, 0, 0);
            if pid == 0 {
                let mut byte = [0u8; 1];
                libc::close(ours);
                if join >= 0 && (libc::setns(join, libc::CLONE_NEWUSER) != 0 || libc::unshare(libc::CLONE_NEWNET) != 0)
                {
                    libc::_exit(1);
                }
                libc::write(tell, byte.as_ptr().cast(), 1);
                libc::read(theirs, byte.as_mut_ptr().cast(), 1);
                libc::_exit(0);
            }
            pid
        };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        let pid = i32::try_from(pid).map_err(io::Error::other)?;
        let holder = Self { pid, gate: Some(writer) };
        drop(told);
        if let Users::New { uids, gids } = users {
            for (file, map) in [("uid_map", uids), ("gid_map", gids)] {
                std::fs::write(format!("/proc/{pid}/{file}"), map)?;
            }
        }
        // It is where it should be, or has ended.
        match (&said).read(&mut [0])? {
            0 => Err(io::Error::other("the user namespace cannot be joined")),
            _ => Ok(holder),
        }
    }

    /// The file of its namespace of this name (namespaces(7)).
    pub fn file(&self, namespace: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/{namespace}", self.pid))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Not by the pipe alone: another child may just hold a copy of its end.
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            drop(self.gate.take());
            let _ = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn inode(fd: impl std::os::fd::AsFd) -> u64 {
        std::fs::File::from(fd.as_fd().try_clone_to_owned().unwrap()).metadata().unwrap().ino()
    }

    #[test]
    fn the_owner_of_a_network_is_found() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let holder = Holder::new(Users::New { uids: "0 100000 65536\n", gids: "0 100000 65536\n" }).unwrap();
        let open = |name: &str| std::fs::File::open(holder.file(name)).unwrap();
        let (net, user) = (open("net"), open("user"));
        assert_eq!(inode(owner(net.as_fd()).unwrap()), inode(&user));
        assert_eq!(inode(owner(user.as_fd()).unwrap()), inode(&user));
        let own = std::fs::File::open("/proc/self/ns/user").unwrap();
        assert_ne!(inode(&own), inode(&user));
        let map = std::fs::read_to_string(format!("/proc/{}/uid_map", holder.pid)).unwrap();
        assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
        let second = Holder::new(Users::Of(&holder.file("user"))).unwrap();
        let second = std::fs::File::open(second.file("net")).unwrap();
        assert_eq!(inode(owner(second.as_fd()).unwrap()), inode(&user));
        assert_ne!(inode(&second), inode(&net));
    }
}
