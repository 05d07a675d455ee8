//! How many descriptors the daemon may have open: a service manager's default of 1024 is little for one that holds
//! some for each container and each client.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What came of [`raise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptors {
    /// The soft limit that the daemon was started with, where it was raised: what containers shall start with.
    pub(super) before: Option<u64>,
    /// How many clients there may be. Each has two descriptors; the other half is the containers'.
    pub(super) connections: usize,
}

/// Raises the soft limit to the hard one.
pub(super) fn raise() -> Descriptors {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let raised = limit.current != limit.maximum && setrlimit(Resource::Nofile, wanted).is_ok();
    let current = if raised { limit.maximum } else { limit.current };
    let connections = current.and_then(|count| usize::try_from(count / 4).ok()).unwrap_or(usize::MAX);
    Descriptors { before: limit.current.filter(|_| raised), connections }
}
