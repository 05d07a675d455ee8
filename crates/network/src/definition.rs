//! Networks that users define: what they ask for, and what is written down.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use types::NetworkId;

use crate::driver::Lease;

/// What a user asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkRequest {
    /// Name.
    pub name: String,
    /// Another network of that name is an error.
    pub unique: bool,
    /// Driver; empty for `bridge`.
    pub driver: String,
    /// No way to the outside.
    pub internal: bool,
    /// Shown only: every network of a single host can be attached to.
    pub attachable: bool,
    /// Containers get IPv4 addresses; `None` is as if it said so.
    pub ipv4: Option<bool>,
    /// Containers get IPv6 addresses too; `None` leaves it to the daemon's default.
    pub ipv6: Option<bool>,
    /// IPAM driver; empty for `default`.
    pub ipam_driver: String,
    /// Options of the IPAM driver; shown only.
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// Subnets.
    pub pools: Vec<IpamPool>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Only settings that other networks are made from.
    pub config_only: bool,
    /// The network whose settings it takes; empty for its own.
    pub config_from: String,
}

/// One subnet as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamPool {
    /// The subnet, perhaps with host bits.
    pub subnet: IpNet,
    /// Where addresses are taken from unasked.
    #[serde(default)]
    pub range: Option<IpNet>,
    /// The bridge's own address.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Addresses of others, by name: never given to a container.
    #[serde(default)]
    pub auxiliary: BTreeMap<String, IpAddr>,
}

/// What is written down about a user's network (`network/<id>.json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserNetwork {
    pub(crate) id: NetworkId,
    pub(crate) name: String,
    /// RFC 3339 with nanoseconds.
    pub(crate) created: String,
    pub(crate) internal: bool,
    pub(crate) attachable: bool,
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
    pub(crate) ipam_options: Option<BTreeMap<String, String>>,
    /// As asked for.
    pub(crate) pools: Vec<IpamPool>,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// The bridge device.
    pub(crate) device: String,
    /// The device was made by us, and goes with the network.
    pub(crate) owned: bool,
    /// What containers get their addresses from, IPv4 first.
    pub(crate) subnets: Vec<Subnet>,
    /// What an IPAM plugin has given for it.
    #[serde(default)]
    pub(crate) lease: Option<Lease>,
    /// Name of the network whose settings it took.
    #[serde(default)]
    pub(crate) config_from: String,
}

/// A subnet of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subnet {
    /// Without host bits.
    pub(crate) net: IpNet,
    /// Where containers send what goes elsewhere; on a bridge that is its own address.
    pub(crate) gateway: Option<IpAddr>,
}

impl Subnet {
    pub(crate) fn is_ipv6(&self) -> bool {
        matches!(self.net, IpNet::V6(_))
    }
}

impl UserNetwork {
    /// Its subnets.
    pub(crate) fn nets(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.subnets.iter().map(|subnet| subnet.net)
    }

    /// The pool that was asked for and became this subnet.
    pub(crate) fn pool(&self, subnet: &Subnet) -> Option<&IpamPool> {
        self.pools.iter().find(|pool| pool.subnet.trunc() == subnet.net)
    }
}
