//! What a daemon tells the network room once, when it starts.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The network settings of one daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Root of what must survive a reboot; the room keeps its records in `<data_root>/network`.
    pub data_root: PathBuf,
    /// Root of what may vanish at reboot; namespaces are pinned in `<exec_root>/netns`.
    pub exec_root: PathBuf,
    /// The device behind the network named `bridge`.
    pub bridge: DefaultBridge,
    /// Its addresses.
    pub default: DefaultAddresses,
    /// MTU of container links; `None` takes that of the route to the outside.
    pub mtu: Option<u32>,
    /// Switch the machine's forwarding on (`--ip-forward`).
    pub ip_forward: bool,
    /// Install the firewall table; without it nothing is masqueraded, and ports are published by the relay (`--iptables`).
    pub iptables: bool,
    /// What leaves the default network gets the machine's address (`--ip-masq`).
    pub masquerade: bool,
    /// The table has rules for IPv6 too (`--ip6tables`).
    pub ip6tables: bool,
    /// Carry connections to a published port where the kernel cannot: from IPv6 to a container that has IPv4 only, from
    /// `::1`, and without the firewall (`--userland-proxy`).
    pub userland_proxy: bool,
    /// Published ports may also be reached at the container's own address (`--allow-direct-routing`).
    pub allow_direct_routing: bool,
    /// Who may come to published ports (`--publish-policy`).
    pub publish_policy: PublishPolicy,
    /// Packets with this mark, under this mask, may enter every bridge (`--bridge-accept-fwmark`).
    pub accept_mark: Option<(u32, u32)>,
    /// Containers of the default bridge may talk to each other (`--icc`).
    pub icc: bool,
    /// Host address of published ports that name none (`--ip`).
    pub default_bind_ip: IpAddr,
    /// Where networks that name no subnet get theirs; empty for Docker's pools (`--default-address-pool`).
    pub address_pools: Vec<AddressPool>,
    /// Options of networks that do not say otherwise, by driver (`--default-network-opt bridge=…`).
    pub default_options: BTreeMap<String, BTreeMap<String, String>>,
}

/// Who may come to published ports from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishPolicy {
    /// Everybody: the host's own input rules are not asked.
    #[default]
    Docker,
    /// Whom the host's own input rules let in.
    HostFirewall,
}

/// A block of addresses that networks are cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// The whole block.
    pub base: IpNet,
    /// Prefix length of each network, not shorter than the block's; of IPv4 at most 30.
    pub size: u8,
}

/// The device behind the default network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultBridge {
    /// Created when absent, and owned by the daemon (`--bridge-name`).
    Owned {
        /// Device name, at most 15 bytes.
        name: String,
    },
    /// An existing device with an address of its own (`--bridge`).
    Existing {
        /// Device name.
        name: String,
    },
    /// No default bridge (`--bridge none`).
    Disabled,
}

/// The addresses of the default network; what is left out is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultAddresses {
    /// The bridge's own address and prefix; otherwise the first free private /16 from 172.17.0.0 on (`--bip`).
    pub bip: Option<Ipv4Net>,
    /// The part of the subnet that containers get addresses of (`--fixed-cidr`).
    pub fixed: Option<Ipv4Net>,
    /// Where containers send what goes elsewhere; otherwise to the bridge (`--default-gateway`).
    pub gateway: Option<Ipv4Addr>,
    /// Containers get IPv6 addresses too (`--ipv6`).
    pub ipv6: bool,
    /// As `bip`; otherwise one of the range that everybody may use (`--bip6`).
    pub bip6: Option<Ipv6Net>,
    /// As `fixed` (`--fixed-cidr-v6`).
    pub fixed6: Option<Ipv6Net>,
    /// As `gateway` (`--default-gateway-v6`).
    pub gateway6: Option<Ipv6Addr>,
}

impl NetworkConfig {
    /// Docker's defaults around a bridge device.
    #[must_use]
    pub fn new(data_root: &Path, exec_root: &Path, bridge: DefaultBridge) -> Self {
        Self {
            data_root: data_root.to_owned(),
            exec_root: exec_root.to_owned(),
            bridge,
            default: DefaultAddresses::default(),
            mtu: None,
            ip_forward: true,
            iptables: true,
            masquerade: true,
            ip6tables: true,
            userland_proxy: true,
            allow_direct_routing: false,
            publish_policy: PublishPolicy::default(),
            accept_mark: None,
            icc: true,
            default_bind_ip: Ipv4Addr::UNSPECIFIED.into(),
            address_pools: Vec::new(),
            default_options: BTreeMap::new(),
        }
    }
}
