//! Everything that can go wrong in the network room.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use types::{EndpointId, ErrorKind, Kind};

use crate::{DriverError, PluginError, Protocol};

/// A failure of the network room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `--iptables=false`: there are no rules to explain.
    #[error("the daemon has no firewall rules: --iptables=false switched them off")]
    NoFirewall,
    /// No network has that name or id.
    #[error("network {0} not found")]
    UnknownNetwork(String),
    /// Several networks have that name, or an id that begins like that.
    #[error("network {reference} is ambiguous ({count} matches found {by})")]
    AmbiguousNetwork {
        /// As asked for.
        reference: String,
        /// How many there are.
        count: usize,
        /// `on name` or `based on ID prefix`.
        by: &'static str,
    },
    /// A network of that name exists.
    #[error("network with name {0} already exists")]
    NameInUse(String),
    /// A name that networks cannot have.
    #[error("invalid name: {0}")]
    InvalidName(String),
    /// The names of the predefined networks.
    #[error("operation is not permitted on predefined {0} network ")]
    Predefined(String),
    /// The predefined networks stay.
    #[error("{0} is a pre-defined network and cannot be removed")]
    RemovePredefined(String),
    /// A network to take settings from that is none.
    #[error("configuration network {0:?} does not exist")]
    UnknownConfiguration(String),
    /// Networks were made from it.
    #[error("error while removing network: configuration network {0:?} is in use")]
    ConfigurationInUse(String),
    /// A container is to be attached to settings.
    #[error("cannot create endpoint on configuration-only network")]
    ConfigurationOnly,
    /// Settings that take settings.
    #[error("a configuration network cannot depend on another configuration network")]
    ConfigurationChain,
    /// Settings that say how the network is operated.
    #[error(
        "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported."
    )]
    ConfigurationOperator,
    /// Options beside a configuration.
    #[error("network driver options are not supported if the network depends on a configuration network")]
    ConfigurationOptions,
    /// Settings beside a configuration.
    #[error("user specified configurations are not supported if the network depends on a configuration network")]
    ConfigurationGiven,
    /// A second network of a driver that has only one.
    #[error("only one instance of \"{0}\" network is allowed")]
    OnlyOne(String),
    /// A network or IPAM driver that this engine does not have.
    #[error("could not find plugin {0} in v1 plugin registry: plugin not found")]
    UnknownDriver(String),
    /// A driver option that does not mean anything.
    #[error("failed to parse {key} value: {value} ({reason})")]
    BadOption {
        /// The option.
        key: String,
        /// Its value.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// A driver option of Docker's that this engine does not offer.
    #[error("network option {0} is not supported by this engine")]
    UnsupportedOption(String),
    /// A second subnet of one family.
    #[error("bridge driver doesn't support multiple subnets")]
    SeveralSubnets,
    /// A subnet that another network has.
    #[error("invalid pool request: Pool overlaps with other one on this address space")]
    PoolOverlaps,
    /// An ip-range, gateway or auxiliary address outside of its subnet.
    #[error("invalid network config:\n{0}")]
    BadPool(String),
    /// Another network has the device.
    #[error(
        "cannot create network {id} ({device}): conflicts with network {other} ({device}): networks have same bridge name"
    )]
    DeviceInUse {
        /// The network that was being made.
        id: String,
        /// The device.
        device: String,
        /// The network that has it.
        other: String,
    },
    /// Containers are on the network.
    #[error("error while removing network: network {name} id {id} has active endpoints{endpoints}")]
    ActiveEndpoints {
        /// Name of the network.
        name: String,
        /// Its id.
        id: String,
        /// ` (name:"…" id:"…")` each, or empty.
        endpoints: String,
    },
    /// The daemon runs without a default bridge.
    #[error("the default bridge network is disabled")]
    BridgeDisabled,
    /// Another daemon in this network namespace owns the device.
    #[error("bridge {0} is in use by another daemon")]
    BridgeBusy(String),
    /// The device for `--bridge` does not exist.
    #[error("bridge device with non default name {0} must be created manually")]
    BridgeMissing(String),
    /// The device is there but is no bridge.
    #[error("device {0} is not a bridge")]
    NotABridge(String),
    /// The existing bridge has no IPv4 address to be the gateway.
    #[error("bridge {0} has no IPv4 address")]
    BridgeWithoutAddress(String),
    /// Every default pool overlaps with a route of this machine.
    #[error("all predefined address pools have been fully subnetted")]
    NoFreeSubnet,
    /// A network whose addresses are all taken.
    #[error("no available {family} addresses on this network's address pools: {network}")]
    NoFreeAddress {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The network.
        network: String,
    },
    /// The wanted address is taken.
    #[error("Address already in use")]
    AddressInUse(IpAddr),
    /// The wanted address is not one of the network's host addresses.
    #[error("invalid address {address}: It does not belong to any of this network's subnets ({subnet})")]
    AddressOutside {
        /// The address.
        address: IpAddr,
        /// The network's subnet.
        subnet: IpNet,
    },
    /// Another container of this daemon has the port.
    #[error(
        "driver failed programming external connectivity on endpoint {container} ({endpoint}): \
         Bind for {} failed: port is already allocated{}", SocketAddr::new(*address, *port), by(holder)
    )]
    PortAllocated {
        /// Name of the container.
        container: String,
        /// The endpoint that was being made.
        endpoint: EndpointId,
        /// Host address.
        address: IpAddr,
        /// Host port.
        port: u16,
        /// Who has it; empty when it is not known.
        holder: String,
    },
    /// A program of the host has the port, or the address is not the host's.
    #[error(
        "driver failed programming external connectivity on endpoint {container} ({endpoint}): \
         failed to bind host port {}/{protocol}: {reason}{}", SocketAddr::new(*address, *port), by(holder)
    )]
    PortBind {
        /// Name of the container.
        container: String,
        /// The endpoint that was being made.
        endpoint: EndpointId,
        /// Host address.
        address: IpAddr,
        /// Host port.
        port: u16,
        /// Protocol.
        protocol: Protocol,
        /// Who has it; empty when it is not known.
        holder: String,
        /// The kernel's reason in the words that Docker uses, e.g. `address already in use`.
        reason: &'static str,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// No port of the wanted range is free.
    #[error(
        "driver failed programming external connectivity on endpoint {container} ({endpoint}): \
         Bind for {} failed: all ports are allocated", SocketAddr::new(*address, *first)
    )]
    PortsExhausted {
        /// Name of the container.
        container: String,
        /// The endpoint that was being made.
        endpoint: EndpointId,
        /// Host address.
        address: IpAddr,
        /// First port of the range.
        first: u16,
    },
    /// Neither of the families.
    #[error("IPv4 or IPv6 must be enabled")]
    NoFamily,
    /// A bridge without an address leads nowhere.
    #[error("gateway mode 'isolated' of com.docker.network.bridge.{0} can only be used for an internal network")]
    IsolatedOutside(&'static str),
    /// A port was to be published where neither the firewall nor the relay may carry it.
    #[error(
        "publishing {0} needs the firewall (--iptables) or the relay (--userland-proxy), and both are switched off"
    )]
    CannotPublish(String),
    /// The relay could not be started.
    #[error("cannot start the relay of published ports")]
    Relay(#[source] io::Error),
    /// Making, opening or removing a namespace failed.
    #[error("network namespace {path}: {action}")]
    Sandbox {
        /// The pin.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// A request about a network device failed.
    #[error("network device {device}: {action}")]
    Device {
        /// Device name.
        device: String,
        /// What was tried.
        action: &'static str,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// A request about the machine's links, addresses or routes failed.
    #[error("netlink: {action}")]
    Netlink {
        /// What was tried.
        action: &'static str,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// A firewall transaction failed; nothing of it was done.
    #[error("firewall table {table}")]
    Firewall {
        /// Name of the table.
        table: String,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// A kernel switch could not be set.
    #[error("cannot set {path}")]
    Sysctl {
        /// File under `/proc/sys`.
        path: String,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// The room's record could not be read or written.
    #[error("{path}")]
    Record {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A macvlan or ipvlan network.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// A plugin.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The kernel gave no random bytes.
    #[error("cannot draw random bytes")]
    Random(#[source] io::Error),
}

fn by(holder: &str) -> String {
    if holder.is_empty() { String::new() } else { format!(" (by {holder})") }
}

impl Kind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownNetwork(_) | Self::UnknownDriver(_) | Self::UnknownConfiguration(_) => ErrorKind::NotFound,
            Self::ConfigurationInUse(_)
            | Self::ConfigurationOnly
            | Self::ConfigurationChain
            | Self::ConfigurationOperator
            | Self::ConfigurationOptions
            | Self::ConfigurationGiven => ErrorKind::Forbidden,
            Self::AddressOutside { .. }
            | Self::BridgeDisabled
            | Self::NoFamily
            | Self::NoFirewall
            | Self::IsolatedOutside(_)
            | Self::CannotPublish(_)
            | Self::AmbiguousNetwork { .. }
            | Self::InvalidName(_)
            | Self::BadOption { .. }
            | Self::UnsupportedOption(_)
            | Self::BadPool(_) => ErrorKind::InvalidParameter,
            Self::NameInUse(_) => ErrorKind::Conflict,
            Self::AddressInUse(_)
            | Self::Predefined(_)
            | Self::RemovePredefined(_)
            | Self::OnlyOne(_)
            | Self::SeveralSubnets
            | Self::PoolOverlaps
            | Self::DeviceInUse { .. }
            | Self::ActiveEndpoints { .. } => ErrorKind::Forbidden,
            Self::Driver(error) => error.kind(),
            Self::Plugin(error) => error.kind(),
            // Docker answers 500 to a port in use.
            _ => ErrorKind::System,
        }
    }
}
