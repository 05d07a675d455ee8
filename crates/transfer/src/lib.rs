//! Moves images between registries and the store (Docker Registry HTTP API V2, OCI distribution-spec).
//!
//! ```text
//! pull: resolve(reference, platform) → plan(manifest, present layers) → lease → fetch in parallel, bounded
//!       → verify + unpack while downloading → image → tag in one transaction
//! ```

mod auth;
mod download;
mod error;
mod failure;
mod fetch;
mod manifest;
mod pull;
mod registry;
mod unpack;

pub use auth::Credentials;
pub use error::Error;
pub use pull::{Progress, PullRequest, Pulled, pull};
