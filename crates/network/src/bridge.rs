//! Bridges as they stand, and who owns the device of the default one.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use sys::netlink::RouteSocket;
use types::NetworkId;

use crate::definition::Subnet;
use crate::firewall::BridgeRules;
use crate::{Error, IpamPool, observe};

/// A bridge that carries a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bridge {
    /// The network it carries.
    pub(crate) id: NetworkId,
    /// That network's name.
    pub(crate) network: String,
    /// Name of the device.
    pub(crate) name: String,
    pub(crate) index: u32,
    /// At most one of each family, IPv4 first.
    pub(crate) sides: Vec<Side>,
    pub(crate) mtu: u32,
    pub(crate) icc: bool,
    /// Ports must be kept apart by the bridge, because the firewall does not see the frames between them.
    pub(crate) isolate: bool,
    /// No way to the outside.
    pub(crate) internal: bool,
    /// Host address of published ports that name none.
    pub(crate) bind_ip: IpAddr,
    /// How the names of devices in containers begin.
    pub(crate) device_prefix: String,
    /// Of the default network: its pools as `network inspect` shows them.
    pub(crate) pools: Vec<IpamPool>,
    /// Devices of the host from where every port of the containers may be reached.
    pub(crate) trusted: Vec<String>,
}

/// One family on a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) subnet: Subnet,
    pub(crate) mode: GatewayMode,
    pub(crate) outgoing: Outgoing,
    /// The bridge's own address.
    pub(crate) address: Option<IpAddr>,
}

/// How containers and the outside reach each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum GatewayMode {
    /// Through the host's addresses: published ports only.
    #[default]
    Nat,
    /// As [`Self::Nat`], and every port of a container at its own address.
    NatUnprotected,
    /// At the containers' own addresses: published ports only, and those are not on the host.
    Routed,
    /// Not at all, not even from the host: the bridge has no address.
    Isolated,
}

/// What becomes of the source address of what leaves for the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// It stays.
    Kept,
    /// It becomes that of the device it leaves by.
    Masqueraded,
    /// It becomes this.
    Replaced(IpAddr),
}

impl Bridge {
    /// What the firewall has to know.
    pub(crate) fn rules(&self) -> BridgeRules {
        BridgeRules {
            device: self.name.clone(),
            sides: self.sides.clone(),
            icc: self.icc,
            internal: self.internal,
            trusted: self.trusted.clone(),
        }
    }

    /// The side of a family.
    pub(crate) fn side(&self, ipv6: bool) -> Option<&Side> {
        self.sides.iter().find(|side| side.subnet.is_ipv6() == ipv6)
    }

    /// Its own IPv4 address.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.side(false)?.address
    }
}

/// The right to a bridge device. It is an abstract socket, which belongs to the network namespace as the device does,
/// and which the kernel gives back when the daemon ends in whatever way.
#[derive(Debug)]
pub(crate) struct Claim {
    _socket: OwnedFd,
}

impl Claim {
    /// Waits a moment for a holder that is ending: a process that it was starting has copies of all its descriptors
    /// until it executes its program.
    pub(crate) fn take(device: &str) -> Result<Self, Error> {
        let end = Instant::now() + Duration::from_millis(50);
        loop {
            match Self::try_take(device) {
                Err(Error::BridgeBusy(_)) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
                taken => return taken,
            }
        }
    }

    fn try_take(device: &str) -> Result<Self, Error> {
        let failed = |source: rustix::io::Errno| match source {
            rustix::io::Errno::ADDRINUSE => Error::BridgeBusy(device.to_owned()),
            other => Error::Device { device: device.to_owned(), action: "claim", source: other.into() },
        };
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).map_err(failed)?;
        let name = SocketAddrUnix::new_abstract_name(format!("gantry/bridge/{device}").as_bytes()).map_err(failed)?;
        rustix::net::bind(&socket, &name).map_err(failed)?;
        Ok(Self { _socket: socket })
    }
}

/// What a bridge that we made says about itself in `ip link`.
pub(crate) fn alias(data_root: &Path) -> String {
    let mut text = format!("gantry {}", data_root.display());
    // The kernel takes 255 bytes.
    let end = (0..=text.len().min(255)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.truncate(end);
    text
}

/// The device for a daemon that was told none: `docker0`, unless another engine is using it, then `gantry0`.
///
/// `docker0` is another's when it has ports that we did not make, when Docker's daemon is alive beside it, or when
/// another daemon of ours holds it.
#[must_use]
pub fn default_bridge_name(data_root: &Path) -> String {
    const FIRST: &str = "docker0";
    const SECOND: &str = "gantry0";
    let links = RouteSocket::open().and_then(|mut socket| socket.links()).unwrap_or_default();
    let Some(device) = links.iter().find(|link| link.name == FIRST) else { return FIRST.to_owned() };
    let ours = device.alias == alias(data_root) && Claim::try_take(FIRST).is_ok();
    let used = observe::docker_daemon_runs() || links.iter().any(|link| link.master == device.index);
    let free = !used && Claim::try_take(FIRST).is_ok();
    if ours || free { FIRST.to_owned() } else { SECOND.to_owned() }
}
