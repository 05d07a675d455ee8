//! The two file formats, as far as files are divided into entries.

use serde::{Deserialize, Serialize};

use crate::decode::Decoded;
use crate::local::{self, Damaged};
use crate::query::Query;
use crate::timestamp::Timestamp;

/// How entries stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A JSON object a line (`json-file`).
    Json,
    /// Docker's `local`: a protobuf message between two lengths.
    Local,
}

// === impl Format ===

impl Format {
    /// The length of the whole entry at the start of `bytes`; `None` when its end is not there yet.
    pub(crate) fn entry(self, bytes: &[u8]) -> Result<Option<usize>, Damaged> {
        match self {
            Self::Json => Ok(memchr::memchr(b'\n', bytes).map(|newline| newline + 1)),
            Self::Local => local::entry_length(bytes),
        }
    }

    /// The first end of an entry that is at `least` or behind it, in bytes that begin with an entry; their length when
    /// there is none.
    pub(crate) fn boundary(self, bytes: &[u8], least: usize) -> usize {
        if least >= bytes.len() {
            return bytes.len();
        }
        match self {
            Self::Json => {
                let from = least.saturating_sub(1);
                memchr::memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |newline| from + newline + 1)
            }
            Self::Local => {
                let mut at = 0;
                while let Ok(Some(length)) = local::entry_length(&bytes[at..]) {
                    at += length;
                    if at >= least {
                        return at;
                    }
                }
                bytes.len()
            }
        }
    }

    /// Appends what the query wants of a whole entry.
    pub(crate) fn decode(self, entry: &[u8], query: &Query, out: &mut Vec<u8>) -> Decoded {
        match self {
            Self::Json => crate::decode::decode(entry.strip_suffix(b"\n").unwrap_or(entry), query, out),
            Self::Local => local::decode(entry, query, out),
        }
    }

    /// When a whole entry was written.
    pub(crate) fn time(self, entry: &[u8]) -> Option<Timestamp> {
        match self {
            Self::Json => crate::decode::time(entry),
            Self::Local => local::time(entry),
        }
    }
}
