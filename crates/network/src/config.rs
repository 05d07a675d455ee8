//! What a daemon tells the network room once, when it starts.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;

/// The network settings of one daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Root of what must survive a reboot; the room keeps its records in `<data_root>/network`.
    pub data_root: PathBuf,
    /// Root of what may vanish at reboot; namespaces are pinned in `<exec_root>/netns`.
    pub exec_root: PathBuf,
    /// The device behind the network named `bridge`.
    pub bridge: DefaultBridge,
    /// MTU of container links; `None` takes that of the route to the outside.
    pub mtu: Option<u32>,
    /// Switch the machine's IPv4 forwarding on (`--ip-forward`).
    pub ip_forward: bool,
    /// Install the firewall table; without it nothing is masqueraded or published (`--iptables`).
    pub iptables: bool,
    /// Containers of the default bridge may talk to each other (`--icc`).
    pub icc: bool,
    /// Host address of published ports that name none (`--ip`).
    pub default_bind_ip: Ipv4Addr,
    /// Where networks that name no subnet get theirs; empty for Docker's pools (`--default-address-pool`).
    pub address_pools: Vec<AddressPool>,
    /// Driver options of bridge networks that do not say otherwise (`--default-network-opt bridge=…`).
    pub default_options: BTreeMap<String, String>,
}

/// A block of addresses that networks are cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// The whole block.
    pub base: Ipv4Net,
    /// Prefix length of each network, not shorter than the block's and at most 30.
    pub size: u8,
}

/// The device behind the default network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultBridge {
    /// Created when absent, and owned by the daemon (`--bridge-name`).
    Owned {
        /// Device name, at most 15 bytes.
        name: String,
        /// The bridge's own address and prefix; `None` picks the first free private /16 from 172.17.0.0 on.
        bip: Option<Ipv4Net>,
    },
    /// An existing device with an address of its own (`--bridge`).
    Existing {
        /// Device name.
        name: String,
    },
    /// No default bridge (`--bridge none`).
    Disabled,
}

impl NetworkConfig {
    /// Docker's defaults around a bridge device.
    #[must_use]
    pub fn new(data_root: &Path, exec_root: &Path, bridge: DefaultBridge) -> Self {
        Self {
            data_root: data_root.to_owned(),
            exec_root: exec_root.to_owned(),
            bridge,
            mtu: None,
            ip_forward: true,
            iptables: true,
            icc: true,
            default_bind_ip: Ipv4Addr::UNSPECIFIED,
            address_pools: Vec::new(),
            default_options: BTreeMap::new(),
        }
    }
}
