//! `X-Docker-Container-Path-Stat`.

use serde::{Deserialize, Serialize};

/// About a path in a container; the header has it as JSON in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the API documents them")]
pub struct PathStat {
    pub name: String,
    pub size: i64,
    /// Go's `os.FileMode`.
    pub mode: u32,
    pub mtime: String,
    #[serde(rename = "linkTarget")]
    pub link_target: String,
}
