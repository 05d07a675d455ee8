//! Reading the machine: devices, addresses, routes, switches.

use std::path::Path;

use sys::netlink::{Address, Link, Route, RouteSocket};

use crate::Error;

/// The kernel's documented default, for a machine without `/proc/sys`.
const EPHEMERAL_PORTS: (u16, u16) = (32_768, 60_999);

/// What the machine's network looks like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) links: Vec<Link>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) routes: Vec<Route>,
}

impl Observed {
    pub(crate) fn read(socket: &mut RouteSocket) -> Result<Self, Error> {
        let named = |action| move |source| Error::Netlink { action, source };
        Ok(Self {
            links: socket.links().map_err(named("list devices"))?,
            addresses: socket.addresses().map_err(named("list addresses"))?,
            routes: socket.routes().map_err(named("list routes"))?,
        })
    }

    pub(crate) fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The addresses of a device; 0 is none.
    pub(crate) fn on(&self, device: u32) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |address| device != 0 && address.device == device)
    }

    /// MTU of the device behind the best default route.
    pub(crate) fn outside_mtu(&self) -> Option<u32> {
        let default = self.routes.iter().filter(|route| route.prefix == 0).min_by_key(|route| route.metric)?;
        self.links.iter().find(|link| link.index == default.device).map(|link| link.mtu)
    }
}

/// The range that the kernel takes random ports from, never below 32768 as Docker's users expect.
pub(crate) fn ephemeral_ports() -> (u16, u16) {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(first), Some(last)) if EPHEMERAL_PORTS.0.max(first) < last => (EPHEMERAL_PORTS.0.max(first), last),
        _ => EPHEMERAL_PORTS,
    }
}

/// Whether frames that a bridge hands from port to port pass the firewall of that family (`br_netfilter`).
pub(crate) fn firewall_sees_frames(ipv6: bool) -> bool {
    let file = if ipv6 { "bridge-nf-call-ip6tables" } else { "bridge-nf-call-iptables" };
    std::fs::read_to_string(Path::new("/proc/sys/net/bridge").join(file)).is_ok_and(|value| value.trim() == "1")
}

/// Whether Docker's daemon is alive, by its default pid file.
pub(crate) fn docker_daemon_runs() -> bool {
    ["/run/docker.pid", "/var/run/docker.pid"].iter().any(|file| {
        let pid = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u32>().ok());
        pid.is_some_and(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "dockerd")
        })
    })
}

/// Writes a kernel switch unless it already has the value, so that a read-only `/proc/sys` is fine when nothing is to do.
pub(crate) fn set_switch(path: &str, value: &str) -> Result<(), Error> {
    let path = Path::new("/proc/sys").join(path);
    if std::fs::read_to_string(&path).is_ok_and(|now| now.trim() == value) {
        return Ok(());
    }
    std::fs::write(&path, value).map_err(|source| Error::Sysctl { path: path.display().to_string(), source })
}
