//! The network room: namespaces, links, addresses, published ports, firewall, and the three files of name resolution.
//!
//! Everything is synchronous and speaks to the kernel over netlink; no program is executed. One [`Network`] serves a
//! whole daemon and may be called from many threads at once.

mod apply;
mod attach;
mod bridge;
mod bridges;
mod config;
mod configuration;
mod default_bridge;
mod define;
mod definition;
mod driver;
mod endpoint;
mod error;
mod explain;
mod files;
mod firewall;
mod forward_chain;
mod gateway;
mod gone;
mod guard;
mod holder;
mod info;
mod linked;
mod mac;
mod network;
mod observe;
mod options;
mod paths;
mod plan;
mod plugin;
mod pool;
mod port;
mod port_table;
mod publish;
mod random;
mod reaper;
mod records;
mod relay;
mod remover;
mod repair;
mod resolver;
mod sandbox;
mod subnets;
mod target;
mod zone;

pub use bridge::default_bridge_name;
pub use config::{AddressPool, DefaultAddresses, DefaultBridge, NetworkConfig, PublishPolicy};
pub use definition::{IpamPool, NetworkRequest};
pub use driver::{DriverEndpoint, DriverError};
pub use endpoint::{AttachRequest, EndpointRecord, LinkAddress, LinkRecord};
pub use error::Error;
pub use explain::{Explanation, Passage, Question};
pub use files::{HostsFile, ResolvConf, hostname_file, nameservers};
pub use info::{Driver, NetworkInfo};
pub use linked::LinkPermit;
pub use mac::{InvalidMac, MacAddress};
pub use network::Network;
pub use plugin::PluginError;
pub use port::{HostPort, InvalidProtocol, PortBinding, PortRequest, Protocol};
pub use repair::Finding;
pub use resolver::ResolverSockets;
pub use sandbox::Sandbox;
pub use sys::user_namespace::Users;
pub use zone::{View, Zone};
