//! A mount as data: rooms hand mounts to one another and only the runtime performs them.

use serde::{Deserialize, Serialize};

/// One mount, in the shape of the OCI runtime-spec's `mounts` entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it appears. For a rootfs mount this is absolute on the host; inside a container spec it is
    /// absolute inside the container.
    pub destination: String,
    /// File system type (`overlay`, `tmpfs`, `bind`, `proc`, …).
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Device, host path or pseudo source.
    #[serde(default)]
    pub source: String,
    /// Options as `mount(8)` spells them (`ro`, `nosuid`, `rbind`, `rprivate`, `lowerdir=…`).
    #[serde(default)]
    pub options: Vec<String>,
}
