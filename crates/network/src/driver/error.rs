//! What can go wrong with macvlan and ipvlan networks, in Docker's words where it has some.

use std::io;

use types::{ErrorKind, Kind};

/// A failure of a driver other than `bridge`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// A mode that macvlan does not have.
    #[error("requested macvlan mode '{0}' is not valid, 'bridge' mode is the macvlan driver default")]
    MacvlanMode(String),
    /// A mode that ipvlan does not have.
    #[error("requested ipvlan mode '{0}' is not valid, 'l2' mode is the ipvlan driver default")]
    IpvlanMode(String),
    /// A flag that ipvlan does not have.
    #[error("requested ipvlan flag '{0}' is not valid, 'bridge' is the ipvlan driver default")]
    IpvlanFlag(String),
    /// Nobody is on the wire of a loopback device.
    #[error("loopback interface is not a valid {0} parent link")]
    Loopback(&'static str),
    /// A network of pools without addresses.
    #[error("{0} pool is empty")]
    EmptyPool(&'static str),
    /// One wants the parent for itself, and another network has it.
    #[error("cannot use mode passthru, macvlan network {network} is already using parent interface {parent}")]
    PassthruInUse {
        /// The other network's id.
        network: String,
        /// The device.
        parent: String,
    },
    /// The other one has the parent for itself.
    #[error("macvlan network {network} is already using parent interface {parent} in mode passthru")]
    PassthruHeld {
        /// The other network's id.
        network: String,
        /// The device.
        parent: String,
    },
    /// An ipvlan parent carries one network, and never macvlan devices too.
    #[error("network {network} is already using parent interface {parent}")]
    ParentInUse {
        /// The other network's id.
        network: String,
        /// The device.
        parent: String,
    },
    /// A parent that is not there, and whose name does not say how to make it.
    #[error("invalid subinterface vlan name {0}, example formatting is eth0.10")]
    NotAVlan(String),
    /// More than one dot.
    #[error("required interface name format is: name.vlan_tag, ex. eth0.10 for vlan 10, instead received {0}")]
    VlanFormat(String),
    /// Not a number behind the dot.
    #[error("unable to parse a valid vlan id from: {0} (ex. eth0.10 for vlan 10)")]
    VlanId(String),
    /// A number that no VLAN has.
    #[error("vlan id must be between 1-4094, received: {0}")]
    VlanRange(i64),
    /// The device under the VLAN is not there.
    #[error("-o parent interface was not found on the host: {0}")]
    NoMaster(String),
    /// The parent has gone since the network was made.
    #[error("the requested parent interface {0} was not found on the Docker host")]
    ParentGone(String),
    /// The kernel was built without, or its module is not there.
    #[error(
        "{what}: this machine's kernel has no {module} devices; load the module (modprobe {module}) or use a kernel that has it"
    )]
    NoModule {
        /// What was to be done.
        what: String,
        /// Name of the module.
        module: &'static str,
    },
    /// The kernel refuses the device.
    #[error("failed to create the {driver} port{hint}")]
    Port {
        /// `macvlan` or `ipvlan`.
        driver: &'static str,
        /// The kernel's reason.
        source: io::Error,
        /// What it means most often; empty, or begins with a comma.
        hint: &'static str,
    },
    /// Who shares the parent's address cannot choose one.
    #[error("ipvlan interfaces do not support custom mac address assignment")]
    Mac,
    /// The device that a plugin named is not there.
    #[error("plugin {plugin}: there is no device {device} on this machine to move into the container")]
    NoDevice {
        /// The plugin.
        plugin: String,
        /// As it said.
        device: String,
    },
    /// Addresses of a plugin for a driver that cannot use them.
    #[error("IPAM driver {0} is only of use with networks of plugins")]
    Ipam(String),
}

impl Kind for DriverError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::EmptyPool(_) | Self::Mac | Self::Ipam(_) => ErrorKind::InvalidParameter,
            // Docker answers 500 to all of these.
            _ => ErrorKind::System,
        }
    }
}
