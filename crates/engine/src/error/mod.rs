//! Everything that can go wrong in the engine. Display is the text that Docker's clients show.

mod conflict;
mod invalid;

use std::io;
use std::path::PathBuf;

use types::{ErrorKind, InvalidReference, Kind};

pub use conflict::StateConflict;
pub use invalid::Invalid;

/// A failure of the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No container has that name or id.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// A prefix that several containers share.
    #[error("multiple IDs found with provided prefix: {0}")]
    AmbiguousPrefix(String),
    /// No exec has that id.
    #[error("No such exec instance: {0}")]
    NoSuchExec(String),
    /// A path that is not in the container.
    #[error("Could not find the file {path} in container {container}")]
    NoSuchPath {
        /// As asked for.
        path: String,
        /// As asked for.
        container: String,
    },
    /// A path that is asked about and not there.
    #[error("no such file or directory: {}", .0.display())]
    NoSuchFile(PathBuf),
    /// No container has an endpoint of that name.
    #[error("endpoint {0} not found")]
    NoSuchEndpoint(String),
    /// The container is on that network.
    #[error("endpoint with name {container} already exists in network {network}")]
    EndpointExists {
        /// Name of the container.
        container: String,
        /// Name of the network.
        network: String,
    },
    /// The container is not on the network.
    #[error("container {container} is not connected to the network {network}")]
    NotConnected {
        /// Full id.
        container: String,
        /// Name of the network.
        network: String,
    },
    /// The name belongs to another container.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameInUse {
        /// The name without the slash.
        name: String,
        /// Full id of the holder.
        holder: String,
    },
    /// A name with characters that names may not have.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    InvalidName(String),
    /// Renaming to the present name.
    #[error("Renaming a container with the same name as its current name")]
    SameName,
    /// Nothing to run.
    #[error("no command specified")]
    NoCommand,
    /// A change of limits that was refused or could not be made.
    #[error("Cannot update container {id}")]
    Update {
        /// The container.
        id: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// The container is in a state that forbids the action.
    #[error("{0}")]
    State(StateConflict),
    /// A request that contradicts itself or names something impossible.
    #[error("{0}")]
    Invalid(Invalid),
    /// A log driver that keeps nothing.
    #[error("configured logging driver does not support reading")]
    Unreadable,
    /// The log could not be opened, or its collector not be reached.
    #[error("failed to create task for container: {0}")]
    LogDriver(String),
    /// The container's process could not be started; `message` is the runtime's text.
    #[error(
        "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process: {message}: unknown"
    )]
    StartFailed {
        /// What the runtime said.
        message: String,
        /// Exit code the container gets: 126, 127 or 128.
        code: i32,
        /// Class of the failure.
        kind: ErrorKind,
    },
    /// An exec could not be started.
    #[error("OCI runtime exec failed: exec failed: unable to start container process: {message}: unknown")]
    ExecFailed {
        /// What the runtime said.
        message: String,
        /// Exit code the exec gets: 126 or 127.
        code: i32,
        /// Class of the failure.
        kind: ErrorKind,
    },
    /// The container's monitor did not answer.
    #[error("the monitor of container {0} does not answer")]
    MonitorGone(String),
    /// The monitor refused a request.
    #[error("{0}")]
    Monitor(String),
    /// The monitor could not be started.
    #[error(transparent)]
    Spawn(#[from] monitor::Error),
    /// A file of ours.
    #[error("{action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A record that does not parse.
    #[error("damaged record {path}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The network refused or failed.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// The runtime room failed.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// The log could not be read.
    #[error(transparent)]
    Logs(#[from] logs::Error),
    /// A pull failed.
    #[error(transparent)]
    Transfer(#[from] transfer::Error),
    /// A failure that several clients are told.
    #[error(transparent)]
    Shared(std::sync::Arc<Self>),
    /// A Dockerfile that cannot be understood.
    #[error(transparent)]
    Dockerfile(#[from] build::dockerfile::Error),
    /// A build that cannot begin.
    #[error("{0}")]
    BuildRequest(String),
    /// What a build is to be made from cannot be had.
    #[error("{0}")]
    BuildContext(String),
    /// A build that failed on its way.
    #[error(transparent)]
    Build(Box<build::solve::Failure<Self>>),
    /// A step of a build that copies files.
    #[error("{0}")]
    BuildFiles(String),
    /// A filter that is none.
    #[error(transparent)]
    Filter(#[from] crate::filters::InvalidFilter),
    /// A reference that is none.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// The engine is shutting down, or a task of it ended early.
    #[error("the engine is shutting down")]
    ShuttingDown,
}

/// The texts of an error and its causes, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // A transparent wrapper repeats the text of its cause.
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

impl Error {
    /// Wraps a failed file operation.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

impl From<StateConflict> for Error {
    fn from(conflict: StateConflict) -> Self {
        Self::State(conflict)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl Kind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchContainer(_)
            | Self::NoSuchEndpoint(_)
            | Self::NoSuchExec(_)
            | Self::NoSuchFile(_)
            | Self::NoSuchPath { .. } => ErrorKind::NotFound,
            Self::Invalid(Invalid::JoinStopped(_) | Invalid::UpdateConflict(_)) => ErrorKind::Conflict,
            Self::AmbiguousPrefix(_)
            | Self::InvalidName(_)
            | Self::SameName
            | Self::NoCommand
            | Self::Dockerfile(_)
            | Self::BuildRequest(_)
            | Self::Invalid(_)
            | Self::Reference(_) => ErrorKind::InvalidParameter,
            Self::EndpointExists { .. } => ErrorKind::Forbidden,
            Self::NameInUse { .. } => ErrorKind::Conflict,
            Self::Unreadable => ErrorKind::NotImplemented,
            Self::Update { source, .. } => source.kind(),
            Self::State(StateConflict::Unchanged) => ErrorKind::NotModified,
            Self::State(_) => ErrorKind::Conflict,
            Self::StartFailed { kind, .. } | Self::ExecFailed { kind, .. } => *kind,
            Self::Store(error) => error.kind(),
            Self::Network(error) => error.kind(),
            Self::Runtime(error) => error.kind(),
            Self::Logs(error) => error.kind(),
            Self::Transfer(error) => error.kind(),
            Self::Shared(error) => error.kind(),
            Self::Filter(error) => error.kind(),
            Self::ShuttingDown => ErrorKind::Unavailable,
            Self::Build(_) | Self::BuildFiles(_) | Self::BuildContext(_) => ErrorKind::System,
            Self::NotConnected { .. }
            | Self::LogDriver(_)
            | Self::MonitorGone(_)
            | Self::Monitor(_)
            | Self::Spawn(_)
            | Self::File { .. }
            | Self::Record { .. } => ErrorKind::System,
        }
    }
}
