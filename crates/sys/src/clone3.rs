//! `clone3(2)`: a child process in new namespaces, born inside its control group.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// Who the caller is after the call.
#[derive(Debug)]
pub enum Cloned {
    /// The process that called. The child sends SIGCHLD when it ends.
    Parent {
        /// The child's process id, as the parent's pid namespace counts.
        pid: i32,
        /// The child's descriptor, close-on-exec.
        pidfd: OwnedFd,
    },
    /// The new process, with a copy of everything the parent had.
    Child,
}

/// How the child comes to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneOptions<'a> {
    /// `CLONE_NEW*` bits; anything else is refused.
    pub namespaces: u64,
    /// Make the child a sibling of the caller (`CLONE_PARENT`).
    pub sibling: bool,
    /// A cgroup v2 directory to be born in (`CLONE_INTO_CGROUP`).
    pub cgroup: Option<BorrowedFd<'a>>,
}

const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

const INTO_CGROUP: u64 = 0x2_0000_0000;

/// Makes a child process without executing anything.
///
/// The caller must have one thread only: locks that another thread holds would stay locked in the child for ever.
/// A process with more is refused with `EDEADLK`, as far as /proc can tell.
///
/// # Errors
/// clone3(2).
pub fn clone3(options: CloneOptions<'_>) -> io::Result<Cloned> {
    if options.namespaces & !NAMESPACES != 0 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // A directory of n entries has n + 2 links: its own two and one per thread.
    if rustix::fs::stat("/proc/self/task").is_ok_and(|stat| stat.st_nlink > 3) {
        return Err(io::Error::from_raw_os_error(libc::EDEADLK));
    }
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain integers, for which zero is valid.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = options.namespaces | libc::CLONE_PIDFD as u64;
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    // With CLONE_PARENT the signal is the caller's own and naming one is an error.
    if options.sibling {
        args.flags |= libc::CLONE_PARENT as u64;
    } else {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(cgroup) = options.cgroup {
        args.flags |= INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: no stack and no CLONE_VM: the child runs on a copy of this memory, like after fork(2), and there is
    // no other thread whose state it could miss. `args` and `pidfd` outlive the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::from_mut(&mut args), size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        pid => {
            // SAFETY: the kernel stored a new descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Cloned::Parent { pid: pid as i32, pidfd })
        }
    }
}

/// Ends the process at once: no destructors, no exit handlers. For a cloned child, whose memory is its parent's.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit takes an integer and does not return.
    unsafe { libc::_exit(status) }
}
