//! What can be wrong with a filter.

use types::{ErrorKind, Kind};

/// A filter that cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `listenerPath` or `SCMP_ACT_NOTIFY`.
    #[error("seccomp notification listeners (listenerPath, SCMP_ACT_NOTIFY) are not supported")]
    ListenerUnsupported,
    /// An architecture name that is not one.
    #[error("unknown seccomp architecture {0:?}")]
    UnknownArchitecture(String),
    /// An architecture whose system calls are not known here.
    #[error("seccomp architecture {0} is not supported")]
    UnsupportedArchitecture(String),
    /// A flag name that is not one.
    #[error("unknown seccomp flag {0:?}")]
    UnknownFlag(String),
    /// An argument index above 5.
    #[error("seccomp rule for {name:?}: a system call has no argument {index}")]
    ArgumentIndex {
        /// First system call of the rule.
        name: String,
        /// The index.
        index: u32,
    },
    /// An errno on an action that has none.
    #[error("seccomp rule for {0:?}: errnoRet needs the action SCMP_ACT_ERRNO or SCMP_ACT_TRACE")]
    ErrnoWithoutAction(String),
    /// Two unconditional rules that disagree.
    #[error("seccomp rules for {0:?} contradict each other")]
    Contradiction(String),
    /// More instructions than the kernel takes.
    #[error("the seccomp filter has {0} instructions, the kernel takes 4096")]
    TooLong(usize),
    /// Docker's form of a profile has both the old and the new spelling.
    #[error("both {one:?} and {two:?} are specified in the seccomp profile, use either {one:?} or {two:?}")]
    Both {
        /// One field.
        one: &'static str,
        /// The other.
        two: &'static str,
    },
    /// Not a profile.
    #[error("decoding the seccomp profile failed")]
    Decode(#[source] serde_json::Error),
}

impl Kind for Error {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}
