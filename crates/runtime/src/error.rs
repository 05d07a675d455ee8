//! Everything that can go wrong while a container or a process in it is made.

use std::fmt;
use std::io;
use std::path::PathBuf;

use types::{ErrorKind, Kind};

/// A failure of the runtime. The texts of the first four are Docker's, because users and scripts read them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command is a bare name and no directory of the container's PATH has it (exit status 127).
    #[error("exec: {command:?}: executable file not found in $PATH")]
    CommandNotFound {
        /// The name as given.
        command: String,
    },
    /// The command is a path and nothing is there (exit status 127).
    #[error("exec: {command:?}: stat {command}: no such file or directory")]
    CommandMissing {
        /// The path as given.
        command: String,
    },
    /// The command may not be executed (exit status 126).
    #[error("exec: {command:?}: permission denied")]
    CommandNotExecutable {
        /// The command as given.
        command: String,
    },
    /// The command is a directory (exit status 126).
    #[error("exec: {command:?}: is a directory")]
    CommandIsDirectory {
        /// The command as given.
        command: String,
    },
    /// The kernel refused to execute a file that is there, for example with "exec format error" (exit status 126,
    /// or 127 when the interpreter is missing).
    #[error("exec {command}")]
    Execute {
        /// The resolved path.
        command: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The working directory cannot be entered (exit status 126).
    #[error("chdir to cwd ({path:?}) set in config.json failed")]
    WorkingDirectory {
        /// The directory as given.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A mount failed.
    #[error("error mounting {origin:?} to rootfs at {destination:?}")]
    Mount {
        /// Device, host path or pseudo source.
        origin: String,
        /// Where it was to appear.
        destination: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The configuration is invalid or contradicts itself.
    #[error("invalid configuration: {field}: {reason}")]
    InvalidSpec {
        /// Which field.
        field: String,
        /// Why.
        reason: String,
    },
    /// The configuration asks for something this machine cannot do.
    #[error("{what} is not supported: {reason}")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// Why it cannot be.
        reason: String,
    },
    /// A hook failed.
    #[error("error running {stage} hook {path:?}: {reason}")]
    Hook {
        /// Which list it is from.
        stage: String,
        /// Its program.
        path: PathBuf,
        /// Exit status, timeout or the kernel's answer, with what it wrote to stderr.
        reason: String,
    },
    /// One step of the set-up failed.
    #[error("{step} {target}")]
    Step {
        /// Which step.
        step: Step,
        /// On what: a path, a name, a number; may be empty.
        target: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The process vanished during its set-up, before it could say why.
    #[error("the container's first process died during its set-up ({status})")]
    Died {
        /// How it ended.
        status: String,
    },
    /// The container's process is gone.
    #[error("process {pid} is not running")]
    NotRunning {
        /// Its id on the host.
        pid: i32,
    },
    /// The control group could not be made, joined or set.
    #[error("control group")]
    Cgroup(#[source] crate::cgroup::Error),
    /// The system call filter could not be compiled.
    #[error("system call filter")]
    Seccomp(#[source] crate::seccomp::Error),
}

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)*) => {
        /// The steps of the set-up, for [`Error::Step`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum Step {
            $($(#[$doc])* $name,)*
        }

        impl fmt::Display for Step {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }
    };
}

steps! {
    /// Talk between the runtime and the process it sets up.
    Synchronise => "synchronise with the container's process",
    /// clone3(2).
    Clone => "clone the container's process",
    /// Open or join a namespace.
    Namespace => "join namespace",
    /// Write a uid or gid map.
    IdMap => "map user ids:",
    /// Write the offsets of a time namespace.
    TimeOffsets => "set time offsets",
    /// Session and keyring.
    Session => "start a session",
    /// Propagation of the root mount.
    Propagation => "set mount propagation of",
    /// Open the root file system.
    Rootfs => "open root file system",
    /// Resolve or make a path inside the root file system.
    Resolve => "resolve in root file system:",
    /// Make a device node.
    Device => "make device",
    /// Open the pseudo terminal.
    Console => "open terminal",
    /// pivot_root(2) or its replacement.
    PivotRoot => "change the root to",
    /// Hide a path.
    Mask => "mask path",
    /// Make a path read-only.
    ReadOnly => "make read-only",
    /// Write a kernel parameter.
    Sysctl => "set kernel parameter",
    /// Host or domain name.
    Hostname => "set host name",
    /// A resource limit.
    Rlimit => "set resource limit",
    /// The out-of-memory score.
    OomScore => "set oom_score_adj",
    /// Users and groups.
    User => "change user:",
    /// Capabilities.
    Capabilities => "set capabilities",
    /// no_new_privs.
    NoNewPrivileges => "set no_new_privs",
    /// Scheduler, I/O priority, processor affinity.
    Scheduling => "set scheduling",
    /// personality(2).
    Personality => "set execution domain",
    /// AppArmor or SELinux.
    SecurityLabel => "set security label",
    /// Load the system call filter.
    SeccompLoad => "load the system call filter",
    /// Standard streams and other descriptors.
    Descriptors => "arrange descriptors",
    /// Move a network interface.
    NetworkDevice => "move network interface",
}

impl Error {
    /// A failed step; for use with `map_err`.
    pub(crate) fn step<E: Into<io::Error>>(step: Step, target: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |source| Self::Step { step, target: target.to_string(), source: source.into() }
    }

    pub(crate) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidSpec { field: field.into(), reason: reason.into() }
    }

    pub(crate) fn unsupported(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), reason: reason.into() }
    }

    /// The exit status Docker reports for a container or exec that fails this way before its command runs.
    #[must_use]
    pub fn exit_status(&self) -> i32 {
        match self {
            Self::CommandNotFound { .. } | Self::CommandMissing { .. } => 127,
            Self::Execute { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::CommandNotExecutable { .. }
            | Self::CommandIsDirectory { .. }
            | Self::Execute { .. }
            | Self::WorkingDirectory { .. } => 126,
            _ => 128,
        }
    }
}

impl Kind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::CommandNotFound { .. }
            | Self::CommandMissing { .. }
            | Self::CommandNotExecutable { .. }
            | Self::CommandIsDirectory { .. }
            | Self::Execute { .. }
            | Self::WorkingDirectory { .. }
            | Self::Mount { .. }
            | Self::InvalidSpec { .. } => ErrorKind::InvalidParameter,
            Self::Unsupported { .. } => ErrorKind::NotImplemented,
            Self::NotRunning { .. } => ErrorKind::Conflict,
            _ => ErrorKind::System,
        }
    }
}
