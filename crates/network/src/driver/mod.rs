//! Networks of other drivers than `bridge`: macvlan, ipvlan, and those of plugins.
//!
//! Their containers are not behind this machine's firewall: macvlan and ipvlan put them on the parent's wire, and a
//! plugin does what it likes. So nothing is masqueraded or published for them here. Addresses, endpoints and names are
//! kept with those of the bridges; this module has the records, the parents and the links.

mod attach;
mod define;
mod error;
mod lease;
mod options;
mod parent;
mod remote;
mod route;

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sys::netlink::RouteSocket;
use types::NetworkId;

use crate::definition::Definition;
use crate::info::Driver;
use crate::plugin::network::StaticRoute;
use crate::plugin::{Directories, Plugins, Role};
use crate::records::{load_sorted, remove_user};
use crate::{EndpointRecord, Error, Network, NetworkConfig, paths};

pub(crate) use define::Wanted;
pub use error::DriverError;
pub(crate) use lease::Lease;
use options::{IpvlanFlag, IpvlanMode, MacvlanMode};
use parent::Parent;

/// How the daemon's own allocation of addresses is called.
pub(crate) const DEFAULT_IPAM: &str = "default";

/// What is written down about a network of another driver (`network/driver/<id>.json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DriverNetwork {
    #[serde(flatten)]
    pub(crate) definition: Definition,
    pub(crate) settings: Settings,
    pub(crate) ipam_driver: String,
    /// Its plugin has agreed. A daemon that starts forgets a network that was only begun.
    pub(crate) made: bool,
}

/// What the driver needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "driver", rename_all = "lowercase")]
pub(crate) enum Settings {
    Macvlan(LanSettings<MacvlanMode>),
    Ipvlan(LanSettings<IpvlanMode>),
    Plugin { name: String },
}

/// A network on the wire of a parent device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LanSettings<Mode> {
    pub(crate) parent: Parent,
    pub(crate) mode: Mode,
    #[serde(default)]
    pub(crate) flag: IpvlanFlag,
    /// `None` takes the parent's.
    pub(crate) mtu: Option<u32>,
    /// How the names of devices in containers begin.
    pub(crate) device_prefix: String,
}

/// What was done for an endpoint beyond its link and addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverEndpoint {
    /// The default route leads to whoever is behind the device, without a gateway.
    pub(crate) on_link: bool,
    /// What the plugin calls the device.
    pub(crate) source: Option<String>,
    /// Routes that the plugin wants.
    pub(crate) routes: Vec<StaticRoute>,
}

/// The networks of other drivers, and the plugins.
#[derive(Debug)]
pub(crate) struct Drivers {
    /// Oldest first.
    networks: RwLock<Vec<Arc<DriverNetwork>>>,
    pub(crate) plugins: Plugins,
    /// Networks whose IPAM plugin knows of their pools in this daemon's life.
    replayed: Mutex<HashSet<NetworkId>>,
}

// === impl DriverNetwork ===

impl DriverNetwork {
    /// The kind, as the API names it.
    pub(crate) fn driver(&self) -> Driver {
        match &self.settings {
            Settings::Macvlan(_) => Driver::Macvlan,
            Settings::Ipvlan(_) => Driver::Ipvlan,
            Settings::Plugin { name } => Driver::Plugin(name.clone()),
        }
    }

    /// Its containers find no way to the outside by it.
    pub(crate) fn leads_nowhere(&self) -> bool {
        self.definition.internal || self.parent().is_some_and(|parent| parent.is_dummy_of(&self.definition.id))
    }

    pub(crate) fn parent(&self) -> Option<&Parent> {
        match &self.settings {
            Settings::Macvlan(lan) => Some(&lan.parent),
            Settings::Ipvlan(lan) => Some(&lan.parent),
            Settings::Plugin { .. } => None,
        }
    }
}

impl Network {
    /// The drivers that there are, those of plugins once a network has one, in the order of the alphabet.
    #[must_use]
    pub fn driver_names(&self) -> Vec<String> {
        let built_in = [Driver::Bridge, Driver::Host, Driver::Ipvlan, Driver::Macvlan, Driver::Null];
        let used = self.drivers.made().into_iter().map(|network| network.driver());
        let names: BTreeSet<String> =
            built_in.into_iter().chain(used).map(|driver| driver.as_str().to_owned()).collect();
        names.into_iter().collect()
    }

    /// The kind of network that an endpoint is on.
    #[must_use]
    pub fn driver_of(&self, endpoint: &EndpointRecord) -> Driver {
        match endpoint.network_name.as_str() {
            "host" => Driver::Host,
            "none" => Driver::Null,
            _ => self.drivers.find(&endpoint.network_id).map_or(Driver::Bridge, |network| network.driver()),
        }
    }
}

// === impl Drivers ===

impl Drivers {
    /// Reads the records. Those that a plugin has not agreed to are forgotten.
    pub(crate) fn load(config: &NetworkConfig) -> Result<Self, Error> {
        let directory = paths::driver_networks(config);
        std::fs::create_dir_all(&directory).map_err(|source| Error::Record { path: directory.clone(), source })?;
        let found: Vec<DriverNetwork> =
            load_sorted(&directory, |network: &DriverNetwork| network.definition.created.clone())?;
        let (made, begun): (Vec<_>, Vec<_>) = found.into_iter().partition(|network| network.made);
        for network in &begun {
            tracing::info!(network = network.definition.name, "forgetting a network that its plugin had not agreed to");
            remove_user(&paths::driver_record(config, &network.definition.id))?;
        }
        if !begun.is_empty() {
            // It may know of them all the same; a daemon that starts does not wait for it.
            std::thread::spawn(move || begun.iter().for_each(take_back));
        }
        let networks = RwLock::new(made.into_iter().map(Arc::new).collect());
        Ok(Self { networks, plugins: Plugins::new(Directories::default()), replayed: Mutex::default() })
    }

    /// All that are made or being made.
    pub(crate) fn all(&self) -> Vec<Arc<DriverNetwork>> {
        self.networks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All that containers can be attached to.
    pub(crate) fn made(&self) -> Vec<Arc<DriverNetwork>> {
        self.all().into_iter().filter(|network| network.made).collect()
    }

    pub(crate) fn find(&self, id: &NetworkId) -> Option<Arc<DriverNetwork>> {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        networks.iter().find(|network| network.definition.id == *id).map(Arc::clone)
    }

    /// The subnets that they have, or are about to have.
    pub(crate) fn subnets(&self) -> Vec<IpNet> {
        self.all().iter().flat_map(|network| network.definition.nets().collect::<Vec<_>>()).collect()
    }

    /// Makes the parents that are ours again, when a daemon starts. One that cannot be made is logged: the others, and
    /// the daemon, must not suffer.
    pub(crate) fn reopen_parents(&self, route: &mut RouteSocket) {
        for network in self.made() {
            let Some(parent) = network.parent() else { continue };
            let done = if parent.owned {
                parent.make(route, &network.definition.id).map(drop)
            } else {
                parent.link(route).map(drop)
            };
            if let Err(error) = done {
                let error = &error as &dyn std::error::Error;
                tracing::error!(network = network.definition.name, error, "a network's parent device is not there");
            }
        }
    }

    fn put(&self, network: DriverNetwork) -> Arc<DriverNetwork> {
        let network = Arc::new(network);
        let mut networks = self.networks.write().unwrap_or_else(PoisonError::into_inner);
        networks.retain(|other| other.definition.id != network.definition.id);
        networks.push(Arc::clone(&network));
        networks.sort_by(|a, b| a.definition.created.cmp(&b.definition.created));
        network
    }

    fn forget(&self, id: &NetworkId) {
        self.networks.write().unwrap_or_else(PoisonError::into_inner).retain(|other| other.definition.id != *id);
    }
}

/// Tells the plugins of a network that was only begun that it will not be.
fn take_back(network: &DriverNetwork) {
    let plugins = Plugins::new(Directories::default());
    if let Settings::Plugin { name } = &network.settings
        && let Ok(plugin) = plugins.find(name, Role::Network)
    {
        plugin.undo(plugin.delete_network(network.definition.id.as_str()));
    }
    if let Some(lease) = &network.definition.lease {
        lease.give_back(&plugins);
    }
}

/// Whether a request is for one of these drivers rather than for a bridge or a predefined one.
pub(crate) fn is_other(driver: &str) -> bool {
    !matches!(driver, "" | "bridge" | "host" | "null" | "none" | "default")
}

/// Whether addresses come from a plugin.
pub(crate) fn is_ipam_plugin(driver: &str) -> bool {
    !matches!(driver, "" | "default" | "null")
}
