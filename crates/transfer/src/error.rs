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
    /// As [`Self::ManifestNotFound`], when only looked at.
    #[error("{0}")]
    NotOnRegistry(String),
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
    #[error("received unexpected HTTP status: {status} from {from}")]
    Status {
        /// The status line.
        status: String,
        /// The registry, and what it said besides.
        from: String,
    },
    /// The registry wants to be left alone for a while.
    #[error("{text}")]
    Busy {
        /// Its words, how much it allows, and when it may be asked again.
        text: String,
        /// For how long, where it says so.
        after: Option<std::time::Duration>,
    },
    /// Credentials are wrong or missing.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// As [`Self::Unauthorized`] or [`Self::NoPassword`], with the request that was refused.
    #[error("{request}: {reason}")]
    Request {
        /// `Head "https://…"`.
        request: String,
        /// Why.
        reason: String,
    },
    /// The registry asks for a password and none was sent.
    #[error("no basic auth credentials")]
    NoPassword,
    /// The registry does not take the user and password of a login.
    #[error("login attempt to {url} failed with status: {status}")]
    Login {
        /// What was asked for.
        url: String,
        /// The registry's status line.
        status: String,
    },
    /// The registry does not know a repository whose tags were asked for.
    #[error("repository {repository} not found: {answer}")]
    RepositoryNotFound {
        /// The repository as people write it.
        repository: String,
        /// The registry's words.
        answer: String,
    },
    /// Nothing to push under this name.
    #[error("An image does not exist locally with the tag: {0}")]
    NothingToPush(String),
    /// The repository is here, the tag is not.
    #[error("tag does not exist: {0}")]
    NoSuchTag(String),
    /// A registry's certificate directory is not in order.
    #[error("{0}")]
    Certificate(String),
    /// What is under the name is no image.
    #[error("Encountered remote {media_type:?}({class}) when fetching")]
    Class {
        /// Of its configuration.
        media_type: String,
        /// What it is then.
        class: &'static str,
    },
    /// A manifest list of images that its own registry does not have.
    #[error("cannot use source images from a different registry than the target image: {source_registry} != {target}")]
    OtherRegistry {
        /// Where the image is.
        source_registry: String,
        /// Where the list goes.
        target: String,
    },
    /// A manifest list may hold images only.
    #[error("{0} is a manifest list itself; name its images one by one")]
    NoImage(String),
    /// The registry does not let a blob be taken over.
    #[error(
        "the registry does not let the blob {blob} be taken over from {repository}: push that image to the repository of the list first"
    )]
    NotMounted {
        /// The blob.
        blob: Digest,
        /// Where it is.
        repository: String,
    },
    /// A registry without search.
    #[error("Unexpected status code {0}")]
    Search(u16),
    /// A search term that is an address.
    #[error("invalid repository name (ex: \"registry.domain.tld/myrepos\")")]
    SearchTerm,
    /// A web server refused a root file system.
    #[error("failed to GET {url} with status {status}: {body}")]
    Import {
        /// What was asked for.
        url: String,
        /// The server's status line.
        status: String,
        /// The beginning of its answer.
        body: String,
    },
    /// What is no address of a root file system.
    #[error("Get {0:?}: http: no Host in request URL")]
    ImportAddress(String),
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
    /// Reading a kept blob failed.
    #[error("read {}", .path.display())]
    Read {
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
    /// Names the request that credentials were refused for.
    pub(crate) fn at_request(self, method: &str, url: &str) -> Self {
        match self {
            Self::Unauthorized(_) | Self::NoPassword => {
                Self::Request { request: format!("{method} {url:?}"), reason: self.to_string() }
            }
            other => other,
        }
    }

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
            Self::AccessDenied { .. }
            | Self::ManifestNotFound { .. }
            | Self::RepositoryNotFound { .. }
            | Self::NotOnRegistry(_)
            | Self::NoPlatform(_) => ErrorKind::NotFound,
            Self::Import { status, .. } if status.starts_with("404") => ErrorKind::NotFound,
            Self::SearchTerm | Self::ImportAddress(_) | Self::OtherRegistry { .. } | Self::NoImage(_) => {
                ErrorKind::InvalidParameter
            }
            Self::Login { .. } | Self::Unauthorized(_) => ErrorKind::Unauthorized,
            Self::Store(error) | Self::Layer(error) => error.kind(),
            _ => ErrorKind::System,
        }
    }
}
