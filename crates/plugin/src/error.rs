//! What can go wrong with a plugin.

use std::io;

use types::{ErrorKind, Kind};

/// A plugin is not there, does not answer, or refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// No socket and no specification of that name.
    #[error("could not find plugin {0} in v1 plugin registry: plugin not found")]
    Missing(String),
    /// It is a plugin for something else.
    #[error("plugin {name} does not implement the requested driver: it is no {role}")]
    Lacks {
        /// The plugin.
        name: String,
        /// E.g. `NetworkDriver`.
        role: &'static str,
    },
    /// Its specification says nothing that can be used.
    #[error("plugin {name}: {path}: {reason}")]
    BadSpecification {
        /// The plugin.
        name: String,
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// It cannot be reached, or did not answer in time.
    #[error("plugin {name} did not answer {message} at {address}")]
    Unreachable {
        /// The plugin.
        name: String,
        /// What was said to it.
        message: String,
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It answered with another status than 200.
    #[error("{message}: {text}")]
    Status {
        /// What was said to it.
        message: String,
        /// HTTP status.
        status: u16,
        /// Its words.
        text: String,
    },
    /// It said no.
    #[error("remote: {0}")]
    Refused(String),
    /// Its answer is not what the protocol says.
    #[error("plugin {name}: its answer to {message} cannot be understood")]
    BadAnswer {
        /// The plugin.
        name: String,
        /// What was said to it.
        message: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Its answer has a value that means nothing.
    #[error("plugin {name}: {what} {value:?} means nothing")]
    BadValue {
        /// The plugin.
        name: String,
        /// Which.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// What it offers is nothing for this engine; the text is whole.
    #[error("{0}")]
    Unsuitable(String),
}

impl PluginError {
    /// The plugin does not know the message: several of them are optional.
    #[must_use]
    pub fn is_unknown_message(&self) -> bool {
        matches!(self, Self::Status { status: 404, .. })
    }
}

impl Kind for PluginError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing(_) => ErrorKind::NotFound,
            Self::Unsuitable(_) => ErrorKind::Forbidden,
            _ => ErrorKind::System,
        }
    }
}
