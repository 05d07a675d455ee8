//! Netlink without a runtime: messages built by hand, one synchronous socket, and the few requests about links,
//! addresses and routes that a container engine makes.
//!
//! Source: netlink(7), rtnetlink(7), `linux/if_link.h`, `linux/rtnetlink.h`.

mod address;
mod link;
mod message;
mod port;
mod route;
mod socket;
mod stacked;

pub use address::Address;
pub(crate) use address::ip_address;
pub use link::{Link, VethPair};
pub use message::{Attribute, Message, attributes};
pub use route::{Route, RouteSocket};
pub use socket::{Protocol, Reply, Socket};
pub use stacked::{Child, Stacked};
