//! Docker's wire types and the table of routes. serde only: no I/O, no decisions.
//!
//! Every type writes exactly what Docker's engine writes: key names, key order, and the difference between `null`,
//! `[]`, `""` and an absent key. A `Vec` is written `[]` when empty, an `Option<Vec>` may be `null`. Reading is as
//! lenient as Go's decoder: `null` means the default, unknown keys are skipped, and a key counts in any case ([`json`]).
//! Names are those of the Engine API reference, v1.51, where each field is described.

#[macro_use]
mod wire;

pub mod beyond;
pub mod container;
pub mod disk_usage;
pub mod error;
pub mod event;
pub mod fsck;
pub mod host_network;
pub mod image;
pub mod json;
pub mod network;
pub mod progress;
pub mod prune;
pub mod registry;
pub mod route;
pub mod system;
mod version;
pub mod volume;
pub mod why;

pub use version::{ApiVersion, VersionError};
pub use wire::Empty;
