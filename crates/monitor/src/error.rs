//! What can go wrong in a monitor, or when one is spawned.

use std::io;
use std::path::PathBuf;

use types::{ErrorKind, Kind};

use crate::protocol::ProtocolError;

/// A failure of the monitor itself, not of its container.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The monitor's program could not be started.
    #[error("spawn monitor {path:?}")]
    Spawn {
        /// The program.
        path: PathBuf,
        /// socketpair(2), posix_spawn(3).
        #[source]
        source: io::Error,
    },
    /// A step of the monitor's own preparation failed.
    #[error("monitor: {step}")]
    Prepare {
        /// Which step.
        step: &'static str,
        /// The system call's answer.
        #[source]
        source: io::Error,
    },
    /// The event loop cannot go on.
    #[error("monitor: event loop")]
    Loop(#[source] io::Error),
    /// A record could not be written to the run directory.
    #[error("monitor: write {path:?}")]
    Record {
        /// Which file.
        path: PathBuf,
        /// The system call's answer.
        #[source]
        source: io::Error,
    },
    /// The log could not be opened.
    #[error("monitor: container log")]
    Log(#[source] logs::Error),
    /// The runtime could not start the container.
    #[error("monitor: start container")]
    Runtime(#[from] runtime::Error),
    /// The daemon's connection failed before there was a container.
    #[error("monitor: connection")]
    Protocol(#[from] ProtocolError),
    /// The plan contradicts itself.
    #[error("monitor: {0}")]
    Plan(&'static str),
}

impl Kind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Log(source) => source.kind(),
            Self::Runtime(source) => source.kind(),
            Self::Plan(_) => ErrorKind::InvalidParameter,
            _ => ErrorKind::System,
        }
    }
}
