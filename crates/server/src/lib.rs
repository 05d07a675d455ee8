//! The server hears: HTTP requests of the Engine API are decoded, handed to the engine, and its answers encoded.
//!
//! `router` finds the handler of a request in the table of `api::route`; `handlers` decode, make one call, encode;
//! `decode` and `encode` translate between Docker's JSON and the engine's model; `hijack` turns a connection into the
//! stream of an attached process.

mod body;
mod call;
mod decode;
mod encode;
mod failure;
mod handlers;
mod hijack;
mod listen;
mod path;
mod peer;
mod query;
mod respond;
mod router;
mod serve;
mod tls;
mod tolerant;

pub use body::{RequestBody, ResponseBody};
pub use encode::fsck as encode_fsck;
pub use failure::{Failure, status};
pub use listen::{Access, BindError, Listen};
pub use router::handle;
pub use serve::Server;
pub use tls::{Tls, TlsError};
