//! Moves images between registries and the store (Docker Registry HTTP API V2, OCI distribution-spec).
//!
//! ```text
//! pull: resolve(reference, platform) → plan(manifest, present layers) → lease → fetch in parallel, bounded
//!       → verify + unpack while downloading → image → tag in one transaction
//! push: lease → for each layer, bounded: there? → mount → upload as kept, compressed if it is not
//!       → configuration → manifest → note the digest
//! ```

mod auth;
mod challenge;
mod compress;
mod config;
mod download;
mod endpoint;
mod error;
mod failure;
mod fetch;
#[doc(hidden)]
pub mod fuzzing;
mod growing;
mod health;
mod inspect;
mod layers;
mod login;
mod manifest;
mod pull;
mod push;
mod push_list;
mod push_manifest;
mod reason;
mod registry;
mod remote;
mod retry;
mod schema1;
mod search;
mod tags;
mod trust;
mod unpack;
mod upload;

pub use auth::Credentials;
pub use compress::Compression;
pub use config::{Proxies, Registries};
pub use error::Error;
pub use health::MirrorHealth;
pub use inspect::{RemoteImage, inspect};
pub use login::login;
pub use pull::{Progress, PullRequest, Pulled, pull};
pub use push::{PushProgress, PushRequest, push};
pub use push_list::{PushListRequest, push_list};
pub use remote::Remote;
pub use search::{Found, search};
pub use tags::tags;
