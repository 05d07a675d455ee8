//! Why a build failed. Display is Docker's text.

use crate::{config, dockerfile, expand};

/// What instructions say to flags of the other builder.
pub const BUILDKIT: &str = "requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled";

/// A build failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure<E: std::error::Error + 'static> {
    /// A trigger of the base image cannot be understood.
    #[error(transparent)]
    Dockerfile(#[from] dockerfile::Error),
    /// A word cannot be expanded.
    #[error(transparent)]
    Word(#[from] expand::Error),
    /// An instruction does not go with the image.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// An instruction cannot be carried out as it is.
    #[error("{0}")]
    Instruction(String),
    /// A command ended with another code than 0.
    #[error("The command '{command}' returned a non-zero code: {code}")]
    Command {
        /// Its words.
        command: String,
        /// Exit code.
        code: i32,
    },
    /// Nothing came of it.
    #[error("No image was generated. Is your Dockerfile empty?")]
    Nothing,
    /// Whoever wanted the build does not any more.
    #[error("build cancelled")]
    Cancelled,
    /// The worker's failure, with words before it.
    #[error("{0}")]
    Worker(String, #[source] E),
    /// The worker's failure.
    #[error(transparent)]
    Plain(E),
}

impl<E: std::error::Error + 'static> Failure<E> {
    /// The exit code of a command that failed.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        if let Self::Command { code, .. } = self { Some(*code) } else { None }
    }
}
