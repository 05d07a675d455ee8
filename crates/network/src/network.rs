//! The room's one door.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::Ipv4Net;
use sys::netlink::RouteSocket;
use sys::netns;
use types::{ContainerId, EndpointId};

use crate::apply::{DEVICE_GROUP, apply_bridge};
use crate::bridge::{Bridge, Claim, alias};
use crate::config::DefaultBridge;
use crate::firewall::{Firewall, Published, Skeleton};
use crate::observe::{Observed, ephemeral_ports, firewall_sees_frames, set_switch};
use crate::plan::{host_device, plan_bridge};
use crate::pool::AddressPool;
use crate::port_table::PortTable;
use crate::reaper::{Job, Reaper};
use crate::records::NetworkRecords;
use crate::{EndpointRecord, Error, NetworkConfig, NetworkInfo, Sandbox, info, paths, random};

/// The networks of one daemon. Share it by reference between threads; every call blocks for a few milliseconds at most.
#[derive(Debug)]
pub struct Network {
    pub(crate) config: NetworkConfig,
    pub(crate) records: NetworkRecords,
    pub(crate) bridge: Option<Bridge>,
    pub(crate) state: Mutex<State>,
    /// Routing socket of the host's namespace.
    pub(crate) route: Mutex<RouteSocket>,
    /// Taken before `state`, never while `state` is held.
    pub(crate) firewall: Option<Mutex<Firewall>>,
    /// Namespaces that were made and not yet attached, with a socket inside.
    prepared: Mutex<HashMap<PathBuf, Prepared>>,
    pub(crate) reaper: Reaper,
    host: Sandbox,
    _claim: Option<Claim>,
}

/// What is given out.
#[derive(Debug)]
pub(crate) struct State {
    /// Of the default bridge.
    pub(crate) addresses: Option<AddressPool>,
    pub(crate) ports: PortTable,
    /// Every endpoint on the bridge, with its ports.
    pub(crate) endpoints: HashMap<EndpointId, Vec<Published>>,
}

#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) namespace: OwnedFd,
    pub(crate) socket: RouteSocket,
    /// Made just now: it has no device but `lo`.
    pub(crate) fresh: bool,
}

impl Network {
    /// Takes the room over from whoever held it before: makes the default bridge, renders the whole firewall table from
    /// the endpoints that still exist, binds their ports again, and removes what no record names.
    pub fn open(config: NetworkConfig, existing: &[EndpointRecord]) -> Result<Self, Error> {
        let claim = match &config.bridge {
            DefaultBridge::Owned { name, .. } | DefaultBridge::Existing { name } => Some(Claim::take(name)?),
            DefaultBridge::Disabled => None,
        };
        let pins = paths::pins(&config.exec_root);
        netns::prepare_pin_directory(&pins).map_err(|source| Error::Sandbox {
            path: pins,
            action: "prepare the directory of pins",
            source,
        })?;
        let records = NetworkRecords::load_or_create(&paths::networks_record(&config))?;
        let mut route =
            RouteSocket::open().map_err(|source| Error::Netlink { action: "open a routing socket", source })?;
        let observed = Observed::read(&mut route)?;
        let bridge = open_bridge(&config, &mut route, &observed, existing)?;
        let state = restore(bridge.as_ref(), existing);
        let firewall = match &bridge {
            Some(bridge) if config.iptables => Some(Mutex::new(open_firewall(bridge, &state)?)),
            _ => None,
        };
        let reaper = Reaper::start(paths::pins(&config.exec_root))?;
        if let Some(bridge) = bridge.as_ref().filter(|_| config.iptables) {
            reaper.queue(Job::LetThrough(bridge.name.clone()));
        }
        queue_leftovers(&config, bridge.as_ref(), &observed, existing, &reaper);
        let host = Sandbox { id: random::sandbox_id()?, key: paths::host_pin(&config.exec_root) };
        Ok(Self {
            config,
            records,
            bridge,
            state: Mutex::new(state),
            route: Mutex::new(route),
            firewall,
            prepared: Mutex::default(),
            reaper,
            host,
            _claim: claim,
        })
    }

    /// All networks, in the order of `network ls`.
    #[must_use]
    pub fn networks(&self) -> Vec<NetworkInfo> {
        info::networks(&self.config, &self.records, self.bridge.as_ref())
    }

    /// The network with this name, id, or unambiguous start of an id. `default` is the bridge.
    pub fn network(&self, reference: &str) -> Result<NetworkInfo, Error> {
        info::find(self.networks(), reference)
    }

    /// Makes and pins a namespace for a container; its loopback device is up.
    pub fn create_sandbox(&self, container: &ContainerId) -> Result<Sandbox, Error> {
        let id = random::sandbox_id()?;
        let key = paths::pin(&self.config.exec_root, &id);
        let (namespace, socket) = netns::create_pinned(&key).map_err(|source| Error::Sandbox {
            path: key.clone(),
            action: "create",
            source,
        })?;
        tracing::debug!(container = container.short(), key = %key.display(), "network namespace made");
        lock(&self.prepared).insert(key.clone(), Prepared { namespace, socket, fresh: true });
        Ok(Sandbox { id, key })
    }

    /// The sandbox record of a container that shares the host's namespace; nothing is made or removed.
    #[must_use]
    pub fn host_sandbox(&self) -> Sandbox {
        self.host.clone()
    }

    /// Unpins a namespace; the kernel takes it, and the links in it, down in the background. Absent is fine.
    /// A failure in the background is logged.
    pub fn remove_sandbox(&self, key: &Path) {
        lock(&self.prepared).remove(key);
        if key != self.host.key {
            self.reaper.queue(Job::Unpin(key.to_owned()));
        }
    }

    /// Address of the default bridge (`host-gateway`).
    #[must_use]
    pub fn default_bridge_gateway(&self) -> Option<Ipv4Addr> {
        self.bridge.as_ref().map(|bridge| bridge.gateway)
    }

    /// The namespace behind a key, with a socket inside.
    pub(crate) fn enter(&self, key: &Path) -> Result<Prepared, Error> {
        if let Some(prepared) = lock(&self.prepared).remove(key) {
            return Ok(prepared);
        }
        let failed = |source| Error::Sandbox { path: key.to_owned(), action: "enter", source };
        let namespace = netns::open_pin(key).map_err(failed)?;
        let socket = netns::open_socket(&namespace).map_err(failed)?;
        Ok(Prepared { namespace, socket, fresh: false })
    }
}

/// Locks; a thread that panicked while holding the lock has left nothing half-done that matters more than going on.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_bridge(
    config: &NetworkConfig,
    route: &mut RouteSocket,
    observed: &Observed,
    existing: &[EndpointRecord],
) -> Result<Option<Bridge>, Error> {
    let first = existing.iter().find_map(|record| record.link.as_ref());
    let previous = first.and_then(|link| Ipv4Net::new(link.gateway, link.prefix).ok());
    let Some(plan) = plan_bridge(&config.bridge, config.mtu, previous, observed)? else { return Ok(None) };
    let owned = matches!(config.bridge, DefaultBridge::Owned { .. });
    let text = alias(&config.data_root);
    let index = apply_bridge(route, &plan, owned.then_some(text.as_str()))?;
    rejoin(route, observed, existing, index);
    if config.ip_forward {
        set_switch("net/ipv4/ip_forward", "1")?;
    }
    if config.iptables {
        // Lets what is published on 127.0.0.1 leave by the bridge; the firewall's `guard` shuts the way back in.
        set_switch(&format!("net/ipv4/conf/{}/route_localnet", plan.name), "1")?;
    }
    Ok(Some(Bridge {
        index,
        subnet: plan.address.trunc(),
        gateway: plan.address.addr(),
        mtu: plan.mtu,
        icc: config.icc,
        // Where the firewall does see them, it also tells published ports, which isolation would cut off.
        isolate: !config.icc && !firewall_sees_frames(),
        name: plan.name,
    }))
}

/// Puts the links of existing endpoints back on a bridge that was deleted and made again.
fn rejoin(route: &mut RouteSocket, observed: &Observed, existing: &[EndpointRecord], bridge: u32) {
    let mut joined = Vec::new();
    for name in existing.iter().filter_map(|record| record.link.as_ref()).map(|link| &link.host_device) {
        let Some(link) = observed.link(name).filter(|link| link.master != bridge) else { continue };
        match route.set_master(link.index, bridge) {
            Ok(()) => joined.push(link.index),
            Err(error) => {
                tracing::warn!(device = name, %error, "a container's link could not be put back on the bridge");
            }
        }
    }
    if !joined.is_empty() {
        joined.push(bridge);
        // Packets may be lost for a moment otherwise; nothing worse.
        let _ = route.wait_operational(&joined, Duration::from_millis(50));
    }
}

/// Takes the addresses and ports of the endpoints that exist.
fn restore(bridge: Option<&Bridge>, existing: &[EndpointRecord]) -> State {
    let addresses = bridge.map(|bridge| AddressPool::new("bridge", bridge.subnet, bridge.gateway));
    let mut state = State { addresses, ports: PortTable::new(ephemeral_ports()), endpoints: HashMap::new() };
    for record in existing {
        let Some(link) = &record.link else { continue };
        if let Some(Err(error)) = state.addresses.as_mut().map(|pool| pool.reserve(link.address)) {
            tracing::warn!(container = record.container_id.short(), %error, "an endpoint's address does not fit the bridge");
        }
        for binding in &record.ports {
            if let Err(error) = state.ports.restore(binding.protocol, binding.host_ip, binding.host_port) {
                tracing::warn!(container = record.container_id.short(), port = binding.host_port, %error,
                    "a published port could not be bound again; it goes on working");
            }
        }
        let published = record.ports.iter().map(|&binding| Published { binding, container: link.address });
        state.endpoints.insert(record.endpoint_id.clone(), published.collect());
    }
    state
}

fn open_firewall(bridge: &Bridge, state: &State) -> Result<Firewall, Error> {
    let skeleton = Skeleton { bridge: bridge.name.clone(), subnet: bridge.subnet, icc: bridge.icc };
    let mut firewall = Firewall::open(skeleton)?;
    firewall.render(&state.published())?;
    Ok(firewall)
}

/// Pins and devices that a daemon left when it was killed in the middle of something.
fn queue_leftovers(
    config: &NetworkConfig,
    bridge: Option<&Bridge>,
    observed: &Observed,
    existing: &[EndpointRecord],
    reaper: &Reaper,
) {
    // By name: the same directory may have been given by another path.
    let kept: HashSet<_> = existing.iter().filter_map(|record| record.sandbox_key.file_name()).collect();
    for entry in std::fs::read_dir(paths::pins(&config.exec_root)).into_iter().flatten().flatten() {
        if !kept.contains(entry.file_name().as_os_str()) {
            tracing::info!(pin = %entry.path().display(), "removing a network namespace that no container names");
            reaper.queue(Job::Unpin(entry.path()));
        }
    }
    let Some(bridge) = bridge else { return };
    let devices: HashSet<String> = existing.iter().map(|record| host_device(&record.endpoint_id)).collect();
    for link in &observed.links {
        let ours = link.master == bridge.index && link.kind == "veth" && link.group == DEVICE_GROUP;
        if ours && !devices.contains(&link.name) {
            tracing::info!(device = link.name, "removing a link that no container names");
            reaper.queue(Job::DeleteDevice(link.index));
        }
    }
}

impl State {
    /// All published ports.
    pub(crate) fn published(&self) -> Vec<Published> {
        self.endpoints.values().flatten().copied().collect()
    }
}
