//! Networks as their room describes them, for the server.

pub use ::network::{Driver, IpamPool, LinkRecord, NetworkInfo, NetworkRequest};
