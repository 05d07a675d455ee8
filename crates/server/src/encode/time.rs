//! Times as Go writes them.

use jiff::Timestamp;

/// Go's zero time.
pub(super) const ZERO: &str = "0001-01-01T00:00:00Z";

/// RFC 3339 with as many digits of the second as are needed, UTC.
pub(super) fn rfc3339(moment: Timestamp) -> String {
    moment.to_string()
}

/// As [`rfc3339`]; what never happened is Go's zero time.
pub(super) fn optional(moment: Option<Timestamp>) -> String {
    moment.map_or_else(|| ZERO.to_owned(), rfc3339)
}
