//! What kind of failure an error is, for whoever must answer a client.

/// The classes of failure that a caller can act on. The server maps each to one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request itself is wrong (400).
    InvalidParameter,
    /// Credentials are missing or wrong (401).
    Unauthorized,
    /// Understood and refused (403).
    Forbidden,
    /// The named thing does not exist (404).
    NotFound,
    /// The request conflicts with the present state (409).
    Conflict,
    /// Already in the wanted state (304).
    NotModified,
    /// Something outside did not answer (503).
    Unavailable,
    /// This engine does not do that (501).
    NotImplemented,
    /// Our own failure, or the machine's (500).
    System,
}

/// Implemented by every room's error enum, so that the layers above can classify without matching variants.
pub trait Kind {
    /// The class of this failure.
    fn kind(&self) -> ErrorKind;
}
