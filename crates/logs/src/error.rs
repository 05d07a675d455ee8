//! What can go wrong with a log file.

use std::io;
use std::path::PathBuf;

use types::{ErrorKind, Kind};

/// A log could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be opened.
    #[error("open log file {path:?}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// open(2).
        #[source]
        source: io::Error,
    },
    /// Lines could not be written; they are kept and tried again.
    #[error("write log file {path:?}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// write(2).
        #[source]
        source: io::Error,
    },
    /// The files could not be renamed; writing goes on in the present file.
    #[error("rotate log file {path:?}")]
    Rotate {
        /// Which file.
        path: PathBuf,
        /// rename(2), ftruncate(2) or open(2).
        #[source]
        source: io::Error,
    },
    /// The file could not be read.
    #[error("read log file {path:?}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// read(2).
        #[source]
        source: io::Error,
    },
    /// A collector could not be reached.
    #[error("dial {address}: {}", dial_failure(cause))]
    Connect {
        /// Where, in Go's words.
        address: String,
        /// socket(2), connect(2).
        cause: io::Error,
    },
    /// The machinery that tells of new lines could not be made.
    #[error("watch log file {path:?}")]
    Watch {
        /// Which file.
        path: PathBuf,
        /// eventfd(2), poll(2).
        #[source]
        source: io::Error,
    },
}

/// What Go says of a connection that failed.
fn dial_failure(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut {
        return "i/o timeout".to_owned();
    }
    format!("connect: {}", types::go_words(&error.to_string()))
}

impl Kind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::System,
        }
    }
}
