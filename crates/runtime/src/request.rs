//! What callers ask of the runtime, and what they get back.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::spec::{Process, Spec};

/// A container to make.
#[derive(Debug)]
pub struct CreateRequest {
    /// Name of the container: appears in hook state and names its session keyring.
    pub id: String,
    /// Its configuration.
    pub spec: Spec,
    /// Directory that relative paths of the configuration start from.
    pub bundle: PathBuf,
    /// Where the root file system is and how it gets there.
    pub rootfs: Rootfs,
    /// The compiled system call filter (an array of `struct sock_filter` as bytes). `None` compiles
    /// `spec.linux.seccomp` on the spot.
    pub seccomp: Option<Vec<u8>>,
    /// Standard streams of the container's process.
    pub stdio: Stdio,
    /// What differs from the ordinary.
    pub options: CreateOptions,
}

/// Ways of creating that only the OCI command line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateOptions {
    /// Move the mount and chroot instead of pivot_root, for a root file system on ramfs.
    pub no_pivot: bool,
    /// How many descriptors from 3 on stay open in the container.
    pub preserve_fds: u32,
    /// Path of a unix socket on which the new process waits to be started, for a caller that exits in between;
    /// see `start_detached`. `None` keeps the connection in [`crate::Created`].
    pub start_socket: Option<PathBuf>,
    /// Make no new session keyring.
    pub no_new_keyring: bool,
    /// The command is an init that begins with all signals blocked and handles them itself: none that comes early is
    /// lost. An ordinary command would be deaf.
    pub hold_signals: bool,
}

/// The root file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rootfs {
    /// Absolute path on the host of the directory that becomes `/`.
    pub path: PathBuf,
    /// Mounts that make it, performed first, inside the new mount namespace; destinations are absolute on the host.
    pub mounts: Vec<types::Mount>,
}

/// Standard streams.
#[derive(Debug)]
pub enum Stdio {
    /// The caller's own.
    Inherit,
    /// These three.
    Pipes {
        /// Becomes descriptor 0.
        stdin: OwnedFd,
        /// Becomes descriptor 1.
        stdout: OwnedFd,
        /// Becomes descriptor 2.
        stderr: OwnedFd,
    },
    /// A new pseudo terminal of the container's own devpts; the caller gets the master. A zero size is left alone.
    Terminal {
        /// Rows.
        rows: u16,
        /// Columns.
        cols: u16,
    },
}

/// A process to start in a running container.
#[derive(Debug)]
pub struct ExecRequest {
    /// Host process id of the container's first process, whose namespaces are joined.
    pub target: i32,
    /// The process: user, capabilities, limits, directory, environment, command.
    pub process: Process,
    /// The compiled system call filter; `None` loads none.
    pub seccomp: Option<Vec<u8>>,
    /// Standard streams.
    pub stdio: Stdio,
    /// The control group it is put in before it runs; `None` leaves it in the caller's.
    pub cgroup: Option<crate::cgroup::Cgroup>,
    /// How many descriptors from 3 on stay open.
    pub preserve_fds: u32,
}

/// A process started in a running container. It is a child of the caller, who must reap it.
#[derive(Debug)]
pub struct Execed {
    /// Process id on the host.
    pub pid: i32,
    /// Descriptor of the process.
    pub pidfd: OwnedFd,
    /// Master of its pseudo terminal, when it has one.
    pub console: Option<OwnedFd>,
}
