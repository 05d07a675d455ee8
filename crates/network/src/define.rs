//! Making and removing networks of users.

use std::sync::{Arc, PoisonError};

use ipnet::IpNet;

use crate::apply::remove_link;
use crate::bridge::GatewayMode;
use crate::bridges::{Bridges, User, open_user};
use crate::definition::{Definition, Subnet, UserNetwork};
use crate::driver::{self, DriverError, Lease, Wanted};
use crate::network::{State, lock};
use crate::observe::Observed;
use crate::options::BridgeOptions;
use crate::pool::Pools;
use crate::reaper::Job;
use crate::records::{remove_user, write_user};
use crate::subnets::{Family, plan_subnets};
use crate::{Error, Network, NetworkInfo, NetworkRequest, info, paths, random};

impl Network {
    /// Makes a network: record, bridge, firewall. Nothing is left behind on failure; a daemon that is killed in the
    /// middle leaves the record, and the next one completes the network.
    pub fn create_network(&self, request: NetworkRequest) -> Result<NetworkInfo, Error> {
        check_name(&request.name)?;
        check_driver(&request)?;
        let request = self.with_defaults(request);
        let wanted = self.ask_plugins(&request)?;
        let created = self.create(request, &wanted);
        if let Some(lease) = wanted.lease.filter(|_| created.is_err()) {
            lease.give_back(&self.drivers.plugins);
        }
        created
    }

    fn create(&self, request: NetworkRequest, wanted: &Wanted) -> Result<NetworkInfo, Error> {
        let changing = lock(&self.changing);
        if request.config_only {
            return self.create_configuration(request);
        }
        let request = self.configured(request)?;
        let request = if let Some(lease) = &wanted.lease { lease.fill(request) } else { request };
        if driver::is_other(&request.driver) {
            return self.create_driver_network(request, wanted, changing);
        }
        let options = BridgeOptions::parse(&request.options)?;
        let record = {
            let mut route = lock(&self.route);
            let observed = Observed::read(&mut route)?;
            self.plan(request, &options, wanted.lease.clone(), &observed)?
        };
        let path = paths::user_record(&self.config, &record.definition.id);
        write_user(&path, &record)?;
        let made = self.make(&record);
        if made.is_err()
            && let Err(error) = remove_user(&path)
        {
            tracing::warn!(
                network = record.definition.name,
                error = &error as &dyn std::error::Error,
                "record not removed"
            );
        }
        made.map(|()| info::user(&record))
    }

    /// The network, when nothing keeps it from being removed now.
    ///
    /// # Errors
    /// As [`Network::remove_network`].
    pub fn removable(&self, reference: &str) -> Result<NetworkInfo, Error> {
        let found = self.network(reference)?;
        if found.predefined {
            return Err(Error::RemovePredefined(found.name));
        }
        if found.config_only {
            self.check_unused(&found)?;
        }
        idle(&lock(&self.state), &found)?;
        Ok(found)
    }

    /// Removes a network that no container is on.
    pub fn remove_network(&self, reference: &str) -> Result<NetworkInfo, Error> {
        let changing = lock(&self.changing);
        let found = self.removable(reference)?;
        if found.config_only {
            return self.remove_configuration(found);
        }
        if let Some(network) = self.drivers.find(&found.id) {
            return self.remove_driver_network(&network, found, changing);
        }
        let user = self.bridges().users.iter().find(|user| user.record.definition.id == found.id).cloned();
        let user = user.ok_or_else(|| Error::UnknownNetwork(reference.to_owned()))?;
        // Whoever comes later finds no addresses.
        let pools = {
            let mut state = lock(&self.state);
            idle(&state, &found)?;
            state.pools.remove(&found.id)
        };
        let removed = self.unmake(&user).and_then(|()| remove_user(&paths::user_record(&self.config, &found.id)));
        if let Err(error) = removed {
            if let Some(pools) = pools {
                lock(&self.state).pools.insert(found.id.clone(), pools);
            }
            return Err(error);
        }
        self.change(|users| users.retain(|user| user.record.definition.id != found.id));
        drop(changing);
        if let Some(lease) = &user.record.definition.lease {
            lease.give_back(&self.drivers.plugins);
        }
        Ok(found)
    }

    /// Decides everything about a new network. Pure but for random bytes.
    fn plan(
        &self,
        request: NetworkRequest,
        options: &BridgeOptions,
        lease: Option<Lease>,
        seen: &Observed,
    ) -> Result<UserNetwork, Error> {
        let bridges = self.bridges();
        self.check_free(&request)?;
        let id = random::network_id()?;
        let device = options.name.clone().unwrap_or_else(|| format!("br-{}", id.short()));
        let mut holders = bridges.users.iter().map(|user| (&user.record.definition.id, &user.record.device));
        let default = bridges.default.as_ref().map(|bridge| (&bridge.id, &bridge.name));
        if let Some((other, _)) = default.into_iter().chain(&mut holders).find(|(_, name)| **name == device) {
            return Err(Error::DeviceInUse { id: id.to_string(), device, other: other.to_string() });
        }
        // Address of a device that the user made; it is the gateway, as in Docker.
        let present = seen.link(&device).and_then(|link| {
            let address = seen.on(link.index).find(|own| own.address.is_ipv4())?;
            let net = IpNet::new(address.address, address.prefix).ok()?.trunc();
            Some(Subnet { net, gateway: Some(address.address) })
        });
        let (ipv4, ipv6) = families(&request, options)?;
        let family = |has| Family { has, single: true, ..Family::default() };
        let families = [Family { present, ..family(ipv4) }, family(ipv6)];
        let taken = self.subnets_in_use(&bridges);
        let subnets = plan_subnets(&request, families, &self.config.address_pools, seen, taken)?;
        let definition = Definition::new(id, request, (ipv4, ipv6), subnets, lease);
        Ok(UserNetwork { definition, owned: seen.link(&device).is_none(), device })
    }

    /// The subnets of all networks.
    pub(crate) fn subnets_in_use(&self, bridges: &Bridges) -> Vec<IpNet> {
        let mut taken: Vec<IpNet> = bridges.users.iter().flat_map(|user| user.record.definition.nets()).collect();
        taken.extend(bridges.default.iter().flat_map(|bridge| bridge.sides.iter().map(|side| side.subnet.net)));
        taken.extend(self.drivers.subnets());
        taken
    }

    /// The daemon's default options, where the request says nothing; one made from a configuration takes only that.
    fn with_defaults(&self, mut request: NetworkRequest) -> NetworkRequest {
        if request.config_from.is_empty() && !request.config_only {
            let driver = if request.driver.is_empty() { "bridge" } else { &request.driver };
            for (key, value) in self.config.default_options.get(driver).into_iter().flatten() {
                request.options.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        request
    }

    /// Device, firewall, addresses, in this order; takes back in reverse.
    fn make(&self, record: &UserNetwork) -> Result<(), Error> {
        let bridge = {
            let mut route = lock(&self.route);
            let observed = Observed::read(&mut route)?;
            open_user(&self.config, record, &mut route, &observed)?
        };
        let bridge = Arc::new(bridge);
        let user = User { record: Arc::new(record.clone()), bridge: Some(Arc::clone(&bridge)) };
        self.change(|users| users.push(user));
        let rules = bridge.rules();
        if let Err(error) = self.change_table(|firewall| firewall.add_bridge(&rules)) {
            self.change(|users| users.retain(|user| user.record.definition.id != record.definition.id));
            if record.owned {
                remove_link(&mut lock(&self.route), &record.device);
            }
            return Err(error);
        }
        lock(&self.state).pools.insert(record.definition.id.clone(), Pools::of(&record.definition));
        if self.firewall.is_some() {
            self.reaper.queue(Job::LetThrough(bridge.name.clone()));
        }
        Ok(())
    }

    fn unmake(&self, user: &User) -> Result<(), Error> {
        let Some(bridge) = &user.bridge else { return Ok(()) };
        let rules = bridge.rules();
        // Rendered without it when the table has to be rendered.
        self.change(|users| users.retain(|other| other.record.definition.id != user.record.definition.id));
        let mut removed = self.change_table(|firewall| firewall.remove_bridge(&rules));
        if removed.is_ok() && user.record.owned {
            let failed = |source| Error::Device { device: bridge.name.clone(), action: "delete", source };
            let mut route = lock(&self.route);
            removed = match route.link(&bridge.name).map_err(failed) {
                Ok(Some(link)) => route.delete_link(link.index).map_err(failed),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
        }
        if removed.is_err() {
            self.change(|users| users.push(user.clone()));
        } else if self.firewall.is_some() {
            self.reaper.queue(Job::Withdraw(bridge.name.clone()));
        }
        removed
    }

    fn change(&self, change: impl FnOnce(&mut Vec<User>)) {
        change(&mut self.bridges.write().unwrap_or_else(PoisonError::into_inner).users);
    }
}

/// Whether a network has IPv4, and IPv6.
fn families(request: &NetworkRequest, options: &BridgeOptions) -> Result<(bool, bool), Error> {
    let ipv4 = request.ipv4.or(options.ipv4).unwrap_or(true);
    let ipv6 = request.ipv6.or(options.ipv6).unwrap_or(false);
    if !ipv4 && !ipv6 {
        return Err(Error::NoFamily);
    }
    for (name, mode) in ["gateway_mode_ipv4", "gateway_mode_ipv6"].into_iter().zip(options.modes) {
        if mode == Some(GatewayMode::Isolated) && !request.internal {
            return Err(Error::IsolatedOutside(name));
        }
    }
    Ok((ipv4, ipv6))
}

/// A network may have any name but none, and those of the predefined ones.
/// Whether no container is on the network.
pub(crate) fn idle(state: &State, network: &NetworkInfo) -> Result<(), Error> {
    if state.endpoints.values().any(|endpoint| endpoint.network == network.id) {
        let (name, id) = (network.name.clone(), network.id.to_string());
        return Err(Error::ActiveEndpoints { name, id, endpoints: String::new() });
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Error> {
    if name.trim().is_empty() {
        return Err(Error::InvalidName(name.to_owned()));
    }
    if matches!(name, "bridge" | "host" | "none" | "default") {
        return Err(Error::Predefined(name.to_owned()));
    }
    Ok(())
}

fn check_driver(request: &NetworkRequest) -> Result<(), Error> {
    match request.driver.as_str() {
        only @ ("host" | "null") if !request.config_only => Err(Error::OnlyOne(only.to_owned())),
        "" | "bridge" if request.ipam_driver == "null" => Err(DriverError::EmptyPool("ipv4").into()),
        _ => Ok(()),
    }
}
