//! What can go wrong with cgroups.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use types::{ErrorKind, Kind};

/// A failed cgroup operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing usable is mounted there.
    #[error("no cgroup hierarchy is mounted at {}", .0.display())]
    NotMounted(PathBuf),
    /// A group's path has `..` or the like in it.
    #[error("cgroup path {} is not a plain absolute path", .0.display())]
    InvalidPath(PathBuf),
    /// mkdir failed.
    #[error("cannot create cgroup {}", path.display())]
    Create {
        /// Directory.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// Reading a control file failed.
    #[error("cannot read {}", path.display())]
    Read {
        /// Control file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a value.
    #[error("cannot write {value:?} to {}", path.display())]
    Write {
        /// Control file.
        path: PathBuf,
        /// What was written.
        value: String,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// A limit was asked for that this machine cannot enforce.
    #[error("{setting} is not supported here: {reason}")]
    Unsupported {
        /// The setting, in the words of config.json.
        setting: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// The kernel took another number of shares than it was given, the nearest that it has.
    #[error("the {} allowed cpu-shares is {nearest}", if *above { "maximum" } else { "minimum" })]
    Shares {
        /// The number was too large.
        above: bool,
        /// The bound.
        nearest: u64,
    },
    /// A value outside its domain.
    #[error("invalid {setting}: {reason}")]
    Invalid {
        /// The setting, in the words of config.json.
        setting: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// The memory limit is below what is in use.
    #[error("unable to set memory limit to {limit} (current usage: {usage}, peak usage: {peak})")]
    MemoryInUse {
        /// Bytes asked for.
        limit: i64,
        /// Bytes in use.
        usage: u64,
        /// Highest use so far, in bytes.
        peak: u64,
    },
    /// A device rule that version 1 cannot express.
    #[error("device rule {0:?} overlaps an earlier rule in a way that cgroup v1 cannot express")]
    DeviceOverlap(String),
    /// A device program was refused.
    #[error("cannot {step} the device program of cgroup {}", path.display())]
    DeviceProgram {
        /// Which step.
        step: &'static str,
        /// Group.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The group did not reach the frozen (or thawed) state in time.
    #[error("timed out changing the freezer state of cgroup {}", .0.display())]
    FreezeTimeout(PathBuf),
    /// The group could not be removed, usually because a process is still in it.
    #[error("cannot remove cgroup {}", path.display())]
    Remove {
        /// Directory.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// A signal could not be sent.
    #[error("cannot signal process {pid}")]
    Signal {
        /// Process.
        pid: i32,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// An event descriptor could not be made.
    #[error("cannot watch {} for out-of-memory kills", path.display())]
    Watch {
        /// Control file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// Something that was asked for, is not enforced, and does not stop the container: as Docker does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The kernel has no such knob.
    Discarded {
        /// The setting, in the words of config.json.
        setting: &'static str,
    },
    /// A controller could not be handed down to the group.
    ControllerUnavailable {
        /// Name as in `cgroup.controllers`.
        controller: String,
        /// Directory whose `cgroup.subtree_control` refused it.
        path: PathBuf,
    },
}

impl Error {
    pub(super) fn write(path: &Path, value: &str, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), value: value.to_owned(), source }
    }

    /// The errno behind a failed write, when that is what this is.
    pub(super) fn write_errno(&self) -> Option<i32> {
        match self {
            Self::Write { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

impl Kind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidPath(_) | Self::Invalid { .. } | Self::Unsupported { .. } | Self::DeviceOverlap(_) => {
                ErrorKind::InvalidParameter
            }
            Self::MemoryInUse { .. } => ErrorKind::Conflict,
            _ => ErrorKind::System,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discarded { setting } => write!(f, "{setting} is not supported by this kernel and was discarded"),
            Self::ControllerUnavailable { controller, path } => {
                write!(f, "cgroup controller {controller} cannot be enabled in {}", path.display())
            }
        }
    }
}
