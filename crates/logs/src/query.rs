//! What a reader of a log wants.

use crate::timestamp::Timestamp;

/// The two streams of a container without a terminal; a terminal's output is all `Stdout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output; stream 1 in Docker's frames.
    Stdout,
    /// Standard error; stream 2 in Docker's frames.
    Stderr,
}

/// The parameters of `GET /containers/{id}/logs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Show standard output.
    pub stdout: bool,
    /// Show standard error.
    pub stderr: bool,
    /// Nothing before this time.
    pub since: Option<Timestamp>,
    /// Nothing after this time; a follower ends when it has passed.
    pub until: Option<Timestamp>,
    /// Only the last entries; `None` shows all. As in Docker, counted over both streams, before the other
    /// filters.
    pub tail: Option<u64>,
    /// Put the time (nine digits of fraction) before each entry.
    pub timestamps: bool,
    /// Put the attributes before each entry.
    pub details: bool,
    /// Wait for what is yet to come.
    pub follow: bool,
    /// Put Docker's 8-byte stdcopy header before each entry (containers without a terminal).
    pub framed: bool,
}

// === impl Stream ===

impl Stream {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// The number in Docker's frames.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

// === impl Query ===

impl Default for Query {
    /// Everything there is, framed.
    fn default() -> Self {
        Self {
            stdout: true,
            stderr: true,
            since: None,
            until: None,
            tail: None,
            timestamps: false,
            details: false,
            follow: false,
            framed: true,
        }
    }
}
