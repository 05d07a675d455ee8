//! What can go wrong between the client and an engine.

use std::io;

use types::{ErrorKind, Kind};

/// A request that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing answers at the address. The text is the one Docker's users look for.
    #[error("Cannot connect to the Docker daemon at {host}. Is the docker daemon running?")]
    Connect {
        /// The address as given.
        host: String,
        /// Why the connection failed.
        #[source]
        source: io::Error,
    },
    /// The socket is there and refuses this user.
    #[error("permission denied while trying to connect to the Docker daemon socket at {host}")]
    Permission {
        /// The address as given.
        host: String,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// No secret connection came about.
    #[error("error during connect: {detail}")]
    Secret {
        /// Why.
        detail: String,
    },
    /// ssh ended before the engine behind it answered.
    #[error(
        "error during connect: command [{command}] has ended ({status}): is the URL right, and is docker or gantry installed on the remote host? stderr={complaints}"
    )]
    Ssh {
        /// The whole command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it wrote to stderr.
        complaints: String,
    },
    /// The engine refused the request.
    #[error("Error response from daemon: {message}")]
    Daemon {
        /// HTTP status.
        status: u16,
        /// The engine's own words.
        message: String,
    },
    /// The connection broke in the middle.
    #[error("error during connect: {0}")]
    Http(#[source] hyper::Error),
    /// Reading or writing a stream failed.
    #[error("{0}")]
    Stream(#[source] io::Error),
    /// The answer is not what the API describes.
    #[error("unexpected answer from the daemon to {path}: {detail}")]
    Answer {
        /// The request's path.
        path: String,
        /// What is wrong.
        detail: String,
    },
}

impl Error {
    /// The HTTP status with which the engine refused, if it did.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Daemon { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the engine says that the thing does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }
}

impl Kind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Daemon { status, .. } => match status {
                400 => ErrorKind::InvalidParameter,
                401 => ErrorKind::Unauthorized,
                403 => ErrorKind::Forbidden,
                404 => ErrorKind::NotFound,
                409 => ErrorKind::Conflict,
                304 => ErrorKind::NotModified,
                501 => ErrorKind::NotImplemented,
                503 => ErrorKind::Unavailable,
                _ => ErrorKind::System,
            },
            Self::Connect { .. } | Self::Permission { .. } => ErrorKind::Unavailable,
            Self::Secret { .. } | Self::Ssh { .. } => ErrorKind::Unavailable,
            Self::Http(_) | Self::Stream(_) | Self::Answer { .. } => ErrorKind::System,
        }
    }
}
