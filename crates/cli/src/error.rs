//! How a command ends when it does not succeed: a text on stderr and an exit code.

use types::{ErrorKind, Kind};

use crate::template;

/// Why a command did not succeed. `Display` is what the user reads, Docker's words included.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing to say: the container's own exit code, or everything has been said.
    #[error("exit status {0}")]
    Exit(u8),
    /// The command line does not fit; the text ends with a hint at `--help`.
    #[error("{text}")]
    Usage {
        /// The whole text.
        text: String,
        /// 125 for flags, 1 for arguments.
        code: u8,
    },
    /// The engine refused or cannot be reached.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// A value that was read does not make sense.
    #[error("{0}")]
    Invalid(String),
    /// `run` and `create`: an error with the program's name in front and a hint at the end.
    #[error("{program}: {text}\n\nRun '{program} {command} --help' for more information")]
    Run {
        /// Name of the program.
        program: &'static str,
        /// `run` or `create`.
        command: &'static str,
        /// What went wrong.
        text: String,
        /// 125, 126 or 127.
        code: u8,
    },
    /// A `--format` text is no template.
    #[error("failed to parse template: {0}")]
    TemplateText(template::Error),
    /// A `--format` text does not fit what it formats.
    #[error("failed to execute template: {0}")]
    TemplateRun(template::Error),
    /// The engine's text, with the exit code that goes with it.
    #[error("{text}")]
    Status {
        /// The text.
        text: String,
        /// The code.
        code: u8,
    },
    /// A file or stream.
    #[error("{what}: {source}")]
    Io {
        /// What was done to what.
        what: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The embedded daemon could not be started.
    #[error("cannot start the daemon: {0}")]
    Daemon(String),
    /// Several things went wrong, one text a line.
    #[error("{}", .0.join("\n"))]
    Several(Vec<String>),
    /// The user typed the detach keys.
    #[error("read escape sequence")]
    Detached,
}

impl Failure {
    /// The process's exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Exit(code) | Self::Usage { code, .. } | Self::Run { code, .. } | Self::Status { code, .. } => *code,
            _ => 1,
        }
    }

    /// Failing texts of several operations; nothing when there are none.
    ///
    /// # Errors
    /// [`Failure::Several`] when there is a text.
    pub fn all(texts: Vec<String>) -> Result<(), Self> {
        if texts.is_empty() { Ok(()) } else { Err(Self::Several(texts)) }
    }
}

impl From<template::Error> for Failure {
    fn from(error: template::Error) -> Self {
        match error {
            template::Error::Parse { .. } => Self::TemplateText(error),
            template::Error::Execute { .. } => Self::TemplateRun(error),
        }
    }
}

impl Kind for Failure {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Client(error) => error.kind(),
            Self::Usage { .. } | Self::Invalid(_) | Self::TemplateText(_) | Self::TemplateRun(_) => {
                ErrorKind::InvalidParameter
            }
            _ => ErrorKind::System,
        }
    }
}
