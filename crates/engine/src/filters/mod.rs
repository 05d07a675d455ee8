//! Filters of the lists and of the event stream: checked once, then applied to every candidate.

mod containers;
mod events;
mod images;
mod prune;

use std::collections::BTreeMap;

use types::{ErrorKind, Kind};

pub use containers::{ContainerFilter, Lookup};
pub use events::EventFilter;
pub(crate) use images::pattern;
pub use images::{ImageCandidate, ImageFilter};
pub(crate) use prune::PruneFilter;

/// Filters as clients send them: values by key. Values of one key are alternatives, keys add up; labels all count.
pub type Filters = BTreeMap<String, Vec<String>>;

/// A filter that means nothing. Texts are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// A key that this list does not have.
    #[error("invalid filter '{0}'")]
    Key(String),
    /// A value that the key does not take.
    #[error("invalid filter '{key}={value}'")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// A name's pattern that is none.
    #[error("invalid filter 'reference={0}': syntax error in pattern")]
    Pattern(String),
    /// A pattern for the tags of a search that is none.
    #[error("invalid search term '{0}': syntax error in the pattern for tags")]
    Tag(String),
    /// A health that containers do not have.
    #[error("unrecognized filter value for health: {0}")]
    Health(String),
    /// A state that containers do not have.
    #[error(
        "invalid filter 'status={0}': invalid value for state ({0}): must be one of created, running, paused, restarting, removing, exited, dead"
    )]
    Status(String),
}

impl Kind for InvalidFilter {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

pub(crate) fn check_keys(filters: &Filters, known: &[&str]) -> Result<(), InvalidFilter> {
    match filters.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(InvalidFilter::Key(key.clone())),
        None => Ok(()),
    }
}

/// No wish is a match; of several wishes one is enough.
pub(crate) fn any<T>(wishes: &[T], matches: impl Fn(&T) -> bool) -> bool {
    wishes.is_empty() || wishes.iter().any(matches)
}

pub(crate) fn labels_match<'a>(
    wishes: &[(String, Option<String>)],
    value_of: impl Fn(&str) -> Option<&'a str>,
) -> bool {
    wishes.iter().all(|(key, wanted)| match (value_of(key), wanted) {
        (Some(value), Some(wanted)) => value == wanted,
        (found, None) => found.is_some(),
        (None, Some(_)) => false,
    })
}

pub(crate) fn label(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    }
}

pub(crate) fn bad(key: &'static str, value: &str) -> InvalidFilter {
    InvalidFilter::Value { key, value: value.to_owned() }
}

pub(crate) fn truth(key: &'static str, text: &str) -> Result<bool, InvalidFilter> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(bad(key, &format!("[{text}]"))),
    }
}
