//! Plugins of Docker's first kind: programs that listen on a socket and speak JSON over HTTP.
//!
//! | message | who sends | answer |
//! | --- | --- | --- |
//! | `Plugin.Activate` | before anything else, once in the life of a room | `Implements`: names of roles |
//! | `<role>.<method>` | the room that the role belongs to | an object; with `Err` or `Error` when it failed |
//!
//! Every message is a POST of a JSON object to `/<message>`. The roles are `NetworkDriver` and `IpamDriver` (the network
//! room) and `VolumeDriver` (the store). Source: Docker's pages about plugins.

mod address;
mod error;
mod http;
mod plugins;

pub use address::Directories;
pub use error::PluginError;
pub use http::Patience;
pub use plugins::{Plugin, Plugins};
