//! What a container is doing. One enum; Docker's booleans are computed when encoding.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitInfo {
    /// Exit code; 128 + signal when a signal ended it; 125…127 when the start failed.
    pub code: i32,
    /// When.
    pub at: Timestamp,
    /// When the last run that began had begun; `None` when no start ever succeeded.
    pub started_at: Option<Timestamp>,
    /// Whether the kernel killed it for memory.
    pub oom_killed: bool,
    /// Why the start failed; empty otherwise.
    pub error: String,
}

/// The states of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    /// Never started.
    Created,
    /// The process runs.
    Running {
        /// Of the container's first process, in the host's numbering.
        pid: i32,
        /// Field 22 of `/proc/<pid>/stat`: tells this process from a later one with the same pid.
        start_time: u64,
        /// When it began.
        since: Timestamp,
    },
    /// Frozen by `pause`.
    Paused {
        /// As in `Running`.
        pid: i32,
        /// As in `Running`.
        start_time: u64,
        /// As in `Running`.
        since: Timestamp,
    },
    /// Ended; the restart policy will start it again.
    Restarting {
        /// How the last run ended.
        last: ExitInfo,
    },
    /// Ended.
    Exited(ExitInfo),
    /// Could not be removed whole; only `rm` is possible.
    Dead(ExitInfo),
}

impl ContainerState {
    /// The word the API uses: `created`, `running`, `paused`, `restarting`, `exited`, `dead`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running { .. } => "running",
            Self::Paused { .. } => "paused",
            Self::Restarting { .. } => "restarting",
            // Docker calls a container whose every start failed still `created`.
            Self::Exited(exit) if exit.started_at.is_none() => "created",
            Self::Exited(_) => "exited",
            Self::Dead(_) => "dead",
        }
    }

    /// Whether a process exists (running or paused).
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. } | Self::Paused { .. })
    }

    /// The first process, while there is one.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        match self {
            Self::Running { pid, .. } | Self::Paused { pid, .. } => Some(*pid),
            _ => None,
        }
    }

    /// Since when it runs, while it does.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Running { since, .. } | Self::Paused { since, .. } => Some(*since),
            _ => None,
        }
    }

    /// How the last run ended, when the container is not running.
    #[must_use]
    pub fn exit(&self) -> Option<&ExitInfo> {
        match self {
            Self::Restarting { last } => Some(last),
            Self::Exited(exit) | Self::Dead(exit) => Some(exit),
            _ => None,
        }
    }
}
