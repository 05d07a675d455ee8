//! The room's one door.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use sys::netlink::RouteSocket;
use sys::netns;
use sys::user_namespace::Users;
use types::{ContainerId, EndpointId, NetworkId};

use crate::apply::DEVICE_GROUP;
use crate::attach::refused;
use crate::bridge::Claim;
use crate::bridges::{Bridges, open_default, open_users};
use crate::config::{DefaultBridge, PublishPolicy};
use crate::configuration;
use crate::definition::Definition;
use crate::driver::Drivers;
use crate::firewall::{Firewall, Model, Policy};
use crate::guard::{self, Guard};
use crate::linked::Linked;
use crate::observe::{Observed, ephemeral_ports};
use crate::plan::host_device;
use crate::pool::Pools;
use crate::port_table::PortTable;
use crate::publish::{Carriers, Published};
use crate::reaper::{Job, Reaper};
use crate::records::{NetworkRecords, load_users};
use crate::remover::DOOMED_GROUP;
use crate::zone::{View, Zone};
use crate::{EndpointRecord, Error, NetworkConfig, NetworkInfo, PortBinding, Sandbox, info, paths, random};

/// The networks of one daemon. Share it by reference between threads; every call blocks for a few milliseconds at most,
/// but for making and removing networks, which takes some tens.
#[derive(Debug)]
pub struct Network {
    pub(crate) config: NetworkConfig,
    pub(crate) records: NetworkRecords,
    /// Changed by one thread at a time, see `changing`.
    pub(crate) bridges: RwLock<Bridges>,
    /// Changed while `changing` is held.
    pub(crate) configurations: RwLock<Vec<Arc<Definition>>>,
    /// Networks of other drivers than `bridge`.
    pub(crate) drivers: Drivers,
    /// Held while a network is made or removed; taken before all others.
    pub(crate) changing: Mutex<()>,
    pub(crate) state: Mutex<State>,
    /// Routing socket of the host's namespace.
    pub(crate) route: Mutex<RouteSocket>,
    /// Taken before `state`, never while `state` is held.
    pub(crate) firewall: Option<Mutex<Firewall>>,
    pub(crate) zone: RwLock<Zone>,
    /// Namespaces that were made and not yet attached, with a socket inside.
    pub(crate) prepared: Mutex<HashMap<PathBuf, Prepared>>,
    pub(crate) reaper: Reaper,
    pub(crate) guard: Guard,
    host: Sandbox,
    _claim: Option<Claim>,
}

/// What is given out.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) pools: HashMap<NetworkId, Pools>,
    pub(crate) ports: PortTable,
    /// Every endpoint that has a link.
    pub(crate) endpoints: HashMap<EndpointId, Endpoint>,
    /// What links open where containers may not talk to each other.
    pub(crate) linked: Vec<Linked>,
}

/// An endpoint with a link.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) network: NetworkId,
    pub(crate) published: Vec<Published>,
    /// Addresses that links may lead from and to; none any more once it is being taken off.
    pub(crate) linkable: Vec<IpAddr>,
}

#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) namespace: OwnedFd,
    pub(crate) socket: RouteSocket,
    /// Made just now: it has no device but `lo`.
    pub(crate) fresh: bool,
}

impl Network {
    /// Takes the room over from whoever held it before: makes the bridges, renders the whole firewall table from the
    /// endpoints that still exist, binds their ports again, and removes what no record names.
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
        let record = paths::networks_record(&config);
        let records = NetworkRecords::load_or_create(&record)?;
        let users = load_users(record.parent().unwrap_or(Path::new("/")))?;
        let configurations = configuration::load(&paths::configurations(&config))?;
        let drivers = Drivers::load(&config)?;
        let mut route =
            RouteSocket::open().map_err(|source| Error::Netlink { action: "open a routing socket", source })?;
        let observed = Observed::read(&mut route)?;
        let default = open_default(&config, &records.bridge.id, &mut route, &observed, existing)?;
        let users = open_users(&config, users, &mut route, &observed, existing);
        let bridges = Bridges { default: default.map(Arc::new), users };
        drivers.reopen_parents(&mut route);
        let state = restore(&config, &bridges, &drivers, existing);
        let firewall = open_firewall(&config, &bridges, &state)?;
        let reaper = Reaper::start(paths::pins(&config.exec_root))?;
        for bridge in bridges.all().filter(|_| config.iptables) {
            reaper.queue(Job::LetThrough(bridge.name.clone()));
        }
        queue_leftovers(&config, &bridges, &observed, existing, &reaper);
        let mut zone = Zone::default();
        existing.iter().for_each(|endpoint| zone.add(endpoint));
        let host = Sandbox { id: random::sandbox_id()?, key: paths::host_pin(&config.exec_root) };
        Ok(Self {
            config,
            records,
            bridges: RwLock::new(bridges),
            configurations: RwLock::new(configurations),
            drivers,
            changing: Mutex::default(),
            state: Mutex::new(state),
            route: Mutex::new(route),
            firewall: firewall.map(Mutex::new),
            zone: RwLock::new(zone),
            prepared: Mutex::default(),
            reaper,
            guard: Guard::default(),
            host,
            _claim: claim,
        })
    }

    /// All networks: the predefined ones in the order of `network ls`, then those of users, oldest first.
    #[must_use]
    pub fn networks(&self) -> Vec<NetworkInfo> {
        let bridges = self.bridges();
        let mut networks = info::predefined(&self.config, &self.records, bridges.default.as_deref());
        let mut others: Vec<NetworkInfo> = bridges.users.iter().map(|user| info::user(&user.record)).collect();
        others.extend(self.configurations().iter().map(|other| info::configuration(other)));
        others.extend(self.drivers.made().iter().map(|other| info::driver(other)));
        others.sort_by(|a, b| a.created.cmp(&b.created));
        networks.extend(others);
        networks
    }

    /// The network with this id or name, or with an id that begins like this and no other does. `default` is the bridge.
    pub fn network(&self, reference: &str) -> Result<NetworkInfo, Error> {
        let networks = self.networks();
        let id = info::find(networks.iter().map(|network| (&network.id, network.name.as_str())), reference)?;
        let found = networks.into_iter().find(|network| network.id == id);
        found.ok_or_else(|| Error::UnknownNetwork(reference.to_owned()))
    }

    /// Makes and pins a namespace for a container; its loopback device is up.
    pub fn create_sandbox(&self, container: &ContainerId) -> Result<Sandbox, Error> {
        self.pin_sandbox(container, netns::create_pinned)
    }

    /// As [`Self::create_sandbox`], owned by the user namespace that the container is to live in.
    pub fn create_owned_sandbox(&self, container: &ContainerId, users: Users<'_>) -> Result<Sandbox, Error> {
        self.pin_sandbox(container, |key| netns::create_owned(key, users))
    }

    fn pin_sandbox(
        &self,
        container: &ContainerId,
        create: impl FnOnce(&Path) -> std::io::Result<(OwnedFd, RouteSocket)>,
    ) -> Result<Sandbox, Error> {
        let id = random::sandbox_id()?;
        let key = paths::pin(&self.config.exec_root, &id);
        let (namespace, socket) =
            create(&key).map_err(|source| Error::Sandbox { path: key.clone(), action: "create", source })?;
        tracing::debug!(container = container.short(), key = %key.display(), "network namespace made");
        lock(&self.prepared).insert(key.clone(), Prepared { namespace, socket, fresh: true });
        Ok(Sandbox { id, key })
    }

    /// Pins the namespace of a process, so that it can be attached.
    pub fn adopt_sandbox(&self, pid: i32) -> Result<Sandbox, Error> {
        let id = random::sandbox_id()?;
        let key = paths::pin(&self.config.exec_root, &id);
        let namespace = PathBuf::from(format!("/proc/{pid}/ns/net"));
        netns::pin(&namespace, &key).map_err(|source| Error::Sandbox { path: namespace, action: "pin", source })?;
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
        if key != self.host.key && key != Path::new("") {
            self.reaper.queue(Job::Unpin(key.to_owned()));
        }
    }

    /// Address of the default bridge (`host-gateway`).
    #[must_use]
    pub fn default_bridge_gateway(&self) -> Option<IpAddr> {
        self.bridges().default.as_ref()?.address()
    }

    /// Looks into the names of the networks of users.
    pub fn with_zone<T>(&self, look: impl FnOnce(&Zone) -> T) -> T {
        look(&self.zone.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives an endpoint other names: its container was renamed.
    pub fn rename(&self, endpoint: &mut EndpointRecord, names: Vec<String>) {
        let mut zone = self.zone.write().unwrap_or_else(PoisonError::into_inner);
        zone.remove(endpoint);
        endpoint.names = names;
        zone.add(endpoint);
    }

    /// What a container with these endpoints sees of the names; `links` are those on a network, alias to name.
    #[must_use]
    pub fn view(endpoints: &[EndpointRecord], links: impl Fn(&EndpointRecord) -> Vec<(String, String)>) -> View {
        let named = endpoints.iter().filter(|endpoint| !endpoint.names.is_empty());
        let lower = |(alias, name): (String, String)| (alias.to_lowercase(), name.to_lowercase());
        View {
            networks: named
                .map(|endpoint| (endpoint.network_id.clone(), links(endpoint).into_iter().map(lower).collect()))
                .collect(),
        }
    }

    pub(crate) fn bridges(&self) -> RwLockReadGuard<'_, Bridges> {
        self.bridges.read().unwrap_or_else(PoisonError::into_inner)
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

/// Takes the addresses and ports of the endpoints that exist.
fn restore(config: &NetworkConfig, bridges: &Bridges, drivers: &Drivers, existing: &[EndpointRecord]) -> State {
    let mut state = State {
        pools: HashMap::new(),
        ports: PortTable::new(ephemeral_ports()),
        endpoints: HashMap::new(),
        linked: Vec::new(),
    };
    if let Some(bridge) = &bridges.default {
        let subnets = bridge.sides.iter().map(|side| side.subnet);
        state.pools.insert(bridge.id.clone(), Pools::new("bridge", subnets.zip(bridge.pools.iter().map(Some))));
    }
    for user in &bridges.users {
        state.pools.insert(user.record.definition.id.clone(), Pools::of(&user.record.definition));
    }
    for network in drivers.made() {
        state.pools.insert(network.definition.id.clone(), Pools::of(&network.definition));
    }
    let carriers = Carriers::of(config);
    for record in existing {
        let Some(link) = &record.link else { continue };
        let container = record.container_id.short();
        for address in link.ips() {
            let pools = state.pools.get_mut(&record.network_id);
            if let Some(Err(error)) = pools.map(|pools| pools.restore(address)) {
                tracing::warn!(container, %error, "an endpoint's address does not fit the network");
            }
        }
        let carry = |&binding: &PortBinding| {
            let published = carriers.restored(binding, &link.addresses);
            if published.is_none() {
                tracing::warn!(
                    container,
                    port = binding.host_port,
                    "with these settings nothing carries a published port"
                );
            }
            published
        };
        // What a plugin publishes is its own.
        let ports = if record.driver.is_some() { &[][..] } else { &record.ports };
        let published: Vec<Published> = ports.iter().filter_map(carry).collect();
        for published in &published {
            if let Err(refusal) = state.ports.restore(container, published) {
                let protocol = published.binding.protocol;
                let error = refused(refusal, &record.endpoint_id, container, protocol);
                tracing::warn!(container, port = published.binding.host_port, %error,
                    "a published port could not be bound again; what the kernel carries goes on working");
            }
        }
        let linkable = link.ips().collect();
        let endpoint = Endpoint { network: record.network_id.clone(), published, linkable };
        state.endpoints.insert(record.endpoint_id.clone(), endpoint);
    }
    state
}

/// The table is made with the first bridge: a daemon without one leaves the firewall alone. `None` when it is not ours to
/// use; then nothing of ours stays in it either.
fn open_firewall(config: &NetworkConfig, bridges: &Bridges, state: &State) -> Result<Option<Firewall>, Error> {
    let table = match &config.bridge {
        DefaultBridge::Owned { name, .. } | DefaultBridge::Existing { name } => format!("gantry_{name}"),
        DefaultBridge::Disabled => format!("gantry_{}", random::digest(&config.data_root)),
    };
    if !config.iptables {
        Firewall::forget(&table);
        if let Err(error) = guard::forget(&table) {
            tracing::warn!(table, %error, "what an earlier daemon wrote into other firewall tables stays");
        }
        return Ok(None);
    }
    let policy = Policy {
        ipv6: config.ip6tables,
        direct: config.allow_direct_routing,
        judged: config.publish_policy == PublishPolicy::HostFirewall,
        mark: config.accept_mark,
    };
    let mut firewall = Firewall::open(table, policy)?;
    let model = Model { bridges: bridges.rules(), published: state.published(), linked: Vec::new() };
    if !model.bridges.is_empty() {
        firewall.render(&model)?;
    }
    Ok(Some(firewall))
}

/// Pins and devices that a daemon left when it was killed in the middle of something.
fn queue_leftovers(
    config: &NetworkConfig,
    bridges: &Bridges,
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
    let masters: HashSet<u32> = bridges.all().map(|bridge| bridge.index).collect();
    let devices: HashSet<String> = existing.iter().map(|record| host_device(&record.endpoint_id)).collect();
    for link in &observed.links {
        let marked = link.group == DEVICE_GROUP || link.group == DOOMED_GROUP;
        let ours = masters.contains(&link.master) && link.kind == "veth" && marked;
        if ours && !devices.contains(&link.name) {
            tracing::info!(device = link.name, "removing a link that no container names");
            reaper.queue(Job::DeleteDevice(link.index));
        }
    }
}

impl State {
    /// All published ports.
    pub(crate) fn published(&self) -> Vec<Published> {
        self.endpoints.values().flat_map(|endpoint| &endpoint.published).copied().collect()
    }
}
