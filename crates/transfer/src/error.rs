//! What can go wrong between a registry and the store. Texts are Docker's.

use std::path::PathBuf;

use types::{Digest, ErrorKind, Kind, Platform};

/// A failure of a transfer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry does not know the repository, or hides it.
    #[error("pull access denied for {repository}, repository does not exist or may require 'docker login': {answer}")]
    AccessDenied {
        /// The repository as people write it.
        repository: String,
        /// The registry's words.
        answer: String,
    },
    /// The repository has no such tag or digest.
    #[error("manifest for {reference} not found: {answer}")]
    ManifestNotFound {
        /// The reference as people write it.
        reference: String,
        /// The registry's words.
        answer: String,
    },
    /// The registry did not answer.
    #[error("Get {url:?}: {reason}")]
    Connect {
        /// What was asked for.
        url: String,
        /// As Go words it.
        reason: String,
    },
    /// The registry refused.
    #[error("{0}")]
    Refused(String),
    /// The registry answered what nobody expects.
    #[error("received unexpected HTTP status: {0}")]
    Status(String),
    /// Credentials are wrong or missing.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// An answer that does not parse.
    #[error("invalid answer of the registry to {url}: {reason}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A manifest of a kind that this engine does not know.
    #[error("unsupported manifest media type and no default available: {0}")]
    MediaType(String),
    /// The index has nothing for this machine.
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoPlatform(Platform),
    /// The content is not what its digest says.
    #[error("filesystem layer verification failed for digest {0}")]
    Verification(Digest),
    /// A manifest or configuration is not what its digest says.
    #[error("manifest verification failed for digest {0}")]
    ManifestVerification(Digest),
    /// The connection broke and did not come back.
    #[error("download of {digest} failed: {reason}")]
    Download {
        /// The blob.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// Writing a downloaded blob failed.
    #[error("write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The disk is full.
    #[error("write {}: no space left on device", .0.display())]
    NoSpace(PathBuf),
    /// The TLS library does not start.
    #[error("cannot prepare the registry client: {0}")]
    Client(String),
    /// The work was given up by its caller.
    #[error("context canceled")]
    Canceled,
    /// The store refused.
    #[error("failed to register layer")]
    Layer(#[source] store::Error),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    pub(crate) fn write(path: &std::path::Path, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::StorageFull => Self::NoSpace(path.to_owned()),
            _ => Self::Write { path: path.to_owned(), source },
        }
    }
}

impl Kind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::AccessDenied { .. } | Self::ManifestNotFound { .. } | Self::NoPlatform(_) => ErrorKind::NotFound,
            Self::Store(error) | Self::Layer(error) => error.kind(),
            _ => ErrorKind::System,
        }
    }
}
