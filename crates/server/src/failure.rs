//! Failures as answers: the one table from classes of failure to HTTP statuses.

use std::fmt;

use hyper::StatusCode;
use types::{ErrorKind, Kind};

/// What a handler fails with: a status, and the text of `{"message": …}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub status: StatusCode,
    /// The text clients show behind `Error response from daemon: `.
    pub message: String,
}

/// The status of each class of failure.
#[must_use]
pub fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidParameter => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::NotModified => StatusCode::NOT_MODIFIED,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::System => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Failure {
    /// A failure of that class.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { status: status(kind), message: message.into() }
    }

    /// The request itself is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidParameter, message)
    }

    /// A valid request for something that this engine does not do yet.
    #[must_use]
    pub fn unsupported(option: &str) -> Self {
        Self::new(ErrorKind::NotImplemented, format!("{option} is not supported by this engine yet"))
    }

    /// The same failure with words put before its text.
    #[must_use]
    pub fn context(mut self, words: &str) -> Self {
        if !self.message.starts_with(words) {
            self.message = format!("{words}: {}", self.message);
        }
        self
    }
}

impl<E: Kind + std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error.kind(), message_of(&error))
    }
}

/// The texts of an error and of its causes, outermost first, in Docker's words.
fn message_of(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        // A transparent wrapper repeats the text of its cause.
        if !message.ends_with(&text) {
            message = format!("{message}: {text}");
        }
        cause = inner.source();
    }
    types::go_words(&message)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("open {path}")]
    struct Failed {
        path: &'static str,
        #[source]
        source: std::io::Error,
    }
    impl Kind for Failed {
        fn kind(&self) -> ErrorKind {
            ErrorKind::System
        }
    }

    #[test]
    fn causes_are_told_once() {
        let source = std::io::Error::from_raw_os_error(2);
        let failure = Failure::from(Failed { path: "/x", source });
        assert_eq!(failure.message, "open /x: no such file or directory");
        assert_eq!(failure.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(Failure::invalid("b").context("a").context("a").message, "a: b");
    }
}
