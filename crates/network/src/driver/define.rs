//! Making and removing networks of other drivers.

use std::sync::{Arc, MutexGuard};

use super::options::{IpvlanMode, LanOptions, MacvlanMode, Mode};
use super::parent::{Parent, check_kernel};
use super::{DEFAULT_IPAM, DriverError, DriverNetwork, LanSettings, Lease, Settings, is_ipam_plugin, is_other, remote};
use crate::define::idle;
use crate::definition::{Definition, Subnet};
use crate::network::lock;
use crate::observe::Observed;
use crate::plugin::{Plugin, Role};
use crate::pool::Pools;
use crate::records::{remove_user, write_user};
use crate::subnets::{Family, plan_subnets};
use crate::{Error, Network, NetworkInfo, NetworkRequest, info, paths, random};

/// What a request needs of plugins, asked of them before any lock is taken: they may take their time.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// The driver, when it is a plugin.
    network: Option<Plugin>,
    /// Families whose pools need no gateway, IPv4 first.
    skips: (bool, bool),
    /// What an IPAM plugin has given.
    pub(crate) lease: Option<Lease>,
}

impl Network {
    /// Greets the plugins that a request names, and takes its pools from the one that gives out addresses.
    pub(crate) fn ask_plugins(&self, request: &NetworkRequest) -> Result<Wanted, Error> {
        let plugins = &self.drivers.plugins;
        let other = is_other(&request.driver) && !matches!(request.driver.as_str(), "macvlan" | "ipvlan");
        if request.config_only || !(other || is_ipam_plugin(&request.ipam_driver)) {
            return Ok(Wanted { skips: needless(request)?, ..Wanted::default() });
        }
        let request = self.configured(request.clone())?;
        let mut wanted = Wanted { skips: needless(&request)?, ..Wanted::default() };
        if other {
            let plugin = plugins.find(&request.driver, Role::Network)?;
            if plugin.network_capabilities()? {
                wanted.skips = plugin.skips_gateways(&remote::network_options(&request))?;
            }
            wanted.network = Some(plugin);
        }
        if is_ipam_plugin(&request.ipam_driver) {
            let plugin = plugins.find(&request.ipam_driver, Role::Ipam)?;
            wanted.lease = Some(Lease::take(&plugin, &request, wanted.skips)?);
        }
        Ok(wanted)
    }

    /// Makes a network of another driver: record, then parent or plugin. Nothing is left behind on failure.
    pub(crate) fn create_driver_network(
        &self,
        request: NetworkRequest,
        wanted: &Wanted,
        changing: MutexGuard<'_, ()>,
    ) -> Result<NetworkInfo, Error> {
        let seen = Observed::read(&mut lock(&self.route))?;
        let network = self.plan_driver(request, wanted, &seen)?;
        let path = paths::driver_record(&self.config, &network.definition.id);
        write_user(&path, &network)?;
        let network = self.drivers.put(network);
        let done = match &wanted.network {
            None => self.make_lan(&network).map(|()| changing),
            Some(plugin) => {
                drop(changing);
                let made = remote::create(plugin, &network).map_err(Error::from).and_then(|()| {
                    let made = DriverNetwork { made: true, ..DriverNetwork::clone(&network) };
                    write_user(&path, &made)
                        .inspect_err(|_| plugin.undo(plugin.delete_network(network.definition.id.as_str())))?;
                    self.drivers.put(made);
                    Ok(())
                });
                made.map(|()| lock(&self.changing))
            }
        };
        match done {
            Ok(_changing) => {
                lock(&self.state).pools.insert(network.definition.id.clone(), Pools::of(&network.definition));
                self.note_lease(&network.definition.id);
                Ok(info::driver(&network))
            }
            Err(error) => {
                self.drivers.forget(&network.definition.id);
                if let Err(error) = remove_user(&path) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(network = network.definition.name, error, "record not removed");
                }
                Err(error)
            }
        }
    }

    /// Removes a network that no container is on.
    pub(crate) fn remove_driver_network(
        &self,
        network: &Arc<DriverNetwork>,
        found: NetworkInfo,
        changing: MutexGuard<'_, ()>,
    ) -> Result<NetworkInfo, Error> {
        // Whoever comes later finds no addresses.
        let pools = {
            let mut state = lock(&self.state);
            idle(&state, &found)?;
            // Somebody else is removing it.
            state.pools.remove(&network.definition.id).ok_or_else(|| Error::UnknownNetwork(found.name.clone()))?
        };
        let path = paths::driver_record(&self.config, &network.definition.id);
        let removed = match &network.settings {
            Settings::Plugin { name } => {
                drop(changing);
                // Like Docker: a plugin that has gone does not keep the network.
                let asked = self.drivers.plugins.find(name, Role::Network);
                if let Err(error) = asked.and_then(|plugin| plugin.delete_network(network.definition.id.as_str())) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        network = network.definition.name,
                        plugin = name,
                        error,
                        "the plugin did not remove its network"
                    );
                }
                remove_user(&path)
            }
            _ => {
                let removed = self.unmake_lan(network).and_then(|()| remove_user(&path));
                drop(changing);
                removed
            }
        };
        if let Err(error) = removed {
            lock(&self.state).pools.insert(network.definition.id.clone(), pools);
            return Err(error);
        }
        self.drivers.forget(&network.definition.id);
        if let Some(lease) = &network.definition.lease {
            lease.give_back(&self.drivers.plugins);
        }
        Ok(found)
    }

    /// Decides everything about a new network. Pure but for random bytes.
    fn plan_driver(&self, request: NetworkRequest, wanted: &Wanted, seen: &Observed) -> Result<DriverNetwork, Error> {
        self.check_free(&request)?;
        let id = random::network_id()?;
        let settings = match request.driver.as_str() {
            "macvlan" => Settings::Macvlan(self.plan_lan::<MacvlanMode>(&request, &id, seen)?),
            "ipvlan" => Settings::Ipvlan(self.plan_lan::<IpvlanMode>(&request, &id, seen)?),
            name => Settings::Plugin { name: name.to_owned() },
        };
        let (ipv4, ipv6) = (request.ipv4.unwrap_or(true), request.ipv6.unwrap_or(false));
        if !ipv4 && !ipv6 {
            return Err(Error::NoFamily);
        }
        let subnets = self.driver_subnets(&request, wanted, (ipv4, ipv6), seen)?;
        let ipam_driver = if request.ipam_driver.is_empty() { DEFAULT_IPAM } else { &request.ipam_driver }.to_owned();
        let made = !matches!(settings, Settings::Plugin { .. });
        let definition = Definition::new(id, request, (ipv4, ipv6), subnets, wanted.lease.clone());
        Ok(DriverNetwork { definition, settings, ipam_driver, made })
    }

    fn plan_lan<M: Mode + Copy + PartialEq + 'static>(
        &self,
        request: &NetworkRequest,
        id: &types::NetworkId,
        seen: &Observed,
    ) -> Result<LanSettings<M>, Error> {
        let options = LanOptions::<M>::parse(&request.options)?;
        let mut parent = Parent::plan(options.parent, id, seen);
        let passthru =
            |settings: &Settings| matches!(settings, Settings::Macvlan(lan) if lan.mode == MacvlanMode::Passthru);
        let asked_passthru = request.options.get("macvlan_mode").is_some_and(|mode| mode == "passthru");
        for other in self.drivers.all() {
            let Some(same) = other.parent().filter(|same| same.name == parent.name) else { continue };
            let (network, name) = (other.definition.id.to_string(), parent.name.clone());
            match (&other.settings, M::DRIVER) {
                (Settings::Ipvlan(_), "ipvlan") => {
                    return Err(DriverError::ParentInUse { network, parent: name }.into());
                }
                (Settings::Macvlan(_), "macvlan") if asked_passthru => {
                    return Err(DriverError::PassthruInUse { network, parent: name }.into());
                }
                (settings @ Settings::Macvlan(_), "macvlan") if passthru(settings) => {
                    return Err(DriverError::PassthruHeld { network, parent: name }.into());
                }
                // The last one that stands on it takes it away.
                _ => parent.owned |= same.owned,
            }
        }
        let (flag, mode) = (options.flag, options.mode);
        Ok(LanSettings { parent, mode, flag, mtu: options.mtu, device_prefix: options.device_prefix })
    }

    /// The subnets. A plugin's pools are taken as they are.
    fn driver_subnets(
        &self,
        request: &NetworkRequest,
        wanted: &Wanted,
        (ipv4, ipv6): (bool, bool),
        seen: &Observed,
    ) -> Result<Vec<Subnet>, Error> {
        if let Some(lease) = &wanted.lease {
            return Ok(lease.subnets());
        }
        if request.ipam_driver == "null" {
            return if wanted.network.is_some() { Ok(Vec::new()) } else { Err(DriverError::EmptyPool("ipv4").into()) };
        }
        let family = |has, skips_gateway| Family { has, skips_gateway, ..Family::default() };
        let families = [family(ipv4, wanted.skips.0), family(ipv6, wanted.skips.1)];
        plan_subnets(request, families, &self.config.address_pools, seen, self.subnets_in_use(&self.bridges()))
    }

    fn make_lan(&self, network: &DriverNetwork) -> Result<(), Error> {
        let mut route = lock(&self.route);
        let (kind, parent) = match &network.settings {
            Settings::Macvlan(lan) => (lan.mode.kind(lan.flag), &lan.parent),
            Settings::Ipvlan(lan) => (lan.mode.kind(lan.flag), &lan.parent),
            Settings::Plugin { .. } => return Ok(()),
        };
        check_kernel(&mut route, kind)?;
        parent.make(&mut route, &network.definition.id).map(drop)
    }

    fn unmake_lan(&self, network: &DriverNetwork) -> Result<(), Error> {
        let Some(parent) = network.parent() else { return Ok(()) };
        let shared = |other: &Arc<DriverNetwork>| {
            other.definition.id != network.definition.id && other.parent().is_some_and(|same| same.name == parent.name)
        };
        if self.drivers.all().iter().any(shared) { Ok(()) } else { parent.remove(&mut lock(&self.route)) }
    }
}

/// Which families of a macvlan or ipvlan network need no gateway.
fn needless(request: &NetworkRequest) -> Result<(bool, bool), Error> {
    let value = |key: &str| request.options.get(key).map_or("", String::as_str);
    let routed = request.driver == "ipvlan"
        && matches!(IpvlanMode::parse(value("ipvlan_mode"))?, IpvlanMode::L3 | IpvlanMode::L3s);
    let lan = matches!(request.driver.as_str(), "macvlan" | "ipvlan");
    let none = lan && (request.internal || value("parent").is_empty()) || routed;
    Ok((none, none))
}
