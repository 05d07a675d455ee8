//! Addresses from an IPAM plugin: its pools are taken with the network, its addresses with each endpoint.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::definition::Subnet;
use crate::network::lock;
use crate::plugin::{Plugin, PluginError, Plugins, Role};
use crate::target::Target;
use crate::{AttachRequest, EndpointRecord, Error, IpamPool, MacAddress, Network, NetworkRequest, random};

/// What a plugin has given for a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The plugin.
    driver: String,
    space: String,
    /// It wants to know hardware addresses.
    needs_mac: bool,
    /// It must be told of its pools again when a daemon starts.
    replay: bool,
    pools: Vec<LeasedPool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LeasedPool {
    id: String,
    subnet: IpNet,
    gateway: Option<IpAddr>,
    /// What was asked for, if anything was.
    asked: Option<IpamPool>,
    /// Addresses that were taken with the pool: the gateway and the auxiliary ones.
    taken: Vec<IpAddr>,
}

impl Lease {
    /// Takes a pool for each subnet that is asked for, or one for each family; all or none.
    pub(super) fn take(plugin: &Plugin, request: &NetworkRequest, skips: (bool, bool)) -> Result<Self, PluginError> {
        let needs = plugin.ipam_capabilities();
        let mut lease = Self {
            driver: plugin.name().to_owned(),
            space: plugin.address_space()?,
            needs_mac: needs.requires_mac,
            replay: needs.requires_request_replay,
            pools: Vec::new(),
        };
        let families = [(request.ipv4.unwrap_or(true), false, skips.0), (request.ipv6.unwrap_or(false), true, skips.1)];
        for (_, ipv6, skip) in families.into_iter().filter(|(has, ..)| *has) {
            let asked = request.pools.iter().filter(|pool| matches!(pool.subnet, IpNet::V6(_)) == ipv6);
            let mut asked: Vec<Option<&IpamPool>> = asked.map(Some).collect();
            if asked.is_empty() {
                asked.push(None);
            }
            for asked in asked {
                if let Err(error) = lease.take_pool(plugin, request, asked, ipv6, skip) {
                    lease.give_back_to(plugin);
                    return Err(error);
                }
            }
        }
        Ok(lease)
    }

    fn take_pool(
        &mut self,
        plugin: &Plugin,
        request: &NetworkRequest,
        asked: Option<&IpamPool>,
        ipv6: bool,
        skip_gateway: bool,
    ) -> Result<(), PluginError> {
        let (subnet, range) = (asked.map(|asked| asked.subnet.trunc()), asked.and_then(|asked| asked.range));
        let given = plugin.request_pool(&self.space, subnet, range, request.ipam_options.as_ref(), ipv6)?;
        let (id, asked) = (given.id.clone(), asked.cloned());
        // In the list from here on, so that it is given back when a later step fails.
        self.pools.push(LeasedPool { id, subnet: given.subnet, gateway: given.gateway, asked, taken: Vec::new() });
        let Some(pool) = self.pools.last_mut() else { return Ok(()) };
        let wanted = pool.asked.as_ref().and_then(|asked| asked.gateway);
        if wanted.is_some() || (pool.gateway.is_none() && !skip_gateway) {
            let gateway = plugin.request_gateway(&given.id, wanted)?.addr();
            pool.taken.push(gateway);
            pool.gateway = Some(gateway);
        }
        let auxiliary: Vec<IpAddr> = pool.asked.iter().flat_map(|asked| asked.auxiliary.values().copied()).collect();
        for address in auxiliary {
            plugin.request_address(&given.id, Some(address), None)?;
            pool.taken.push(address);
        }
        Ok(())
    }

    /// The plugin's name.
    pub(crate) fn driver(&self) -> &str {
        &self.driver
    }

    /// The request with the plugin's pools in the place of what was asked for.
    pub(crate) fn fill(&self, request: NetworkRequest) -> NetworkRequest {
        let pool = |pool: &LeasedPool| {
            let asked = pool.asked.clone().unwrap_or(IpamPool {
                subnet: pool.subnet,
                range: None,
                gateway: None,
                auxiliary: std::collections::BTreeMap::new(),
            });
            IpamPool { subnet: pool.subnet, gateway: pool.gateway, ..asked }
        };
        NetworkRequest { pools: self.pools.iter().map(pool).collect(), ..request }
    }

    pub(super) fn subnets(&self) -> Vec<Subnet> {
        self.pools.iter().map(|pool| Subnet { net: pool.subnet, gateway: pool.gateway }).collect()
    }

    /// Gives all pools back; a plugin that is gone is logged.
    pub(crate) fn give_back(&self, plugins: &Plugins) {
        match plugins.find(&self.driver, Role::Ipam) {
            Ok(plugin) => self.give_back_to(&plugin),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(plugin = self.driver, error, "pools could not be given back");
            }
        }
    }

    fn give_back_to(&self, plugin: &Plugin) {
        for pool in &self.pools {
            for address in &pool.taken {
                plugin.undo(plugin.release_address(&pool.id, *address));
            }
            plugin.undo(plugin.release_pool(&pool.id));
        }
    }

    fn pool_of(&self, address: IpAddr) -> Option<&LeasedPool> {
        self.pools.iter().find(|pool| pool.subnet.contains(&address))
    }

    /// Takes an address of each family: the wanted ones, or whatever a pool gives.
    fn addresses(
        &self,
        plugin: &Plugin,
        wanted: &[IpAddr],
        mac: Option<MacAddress>,
    ) -> Result<Vec<IpAddr>, PluginError> {
        let mut taken = Vec::new();
        for ipv6 in [false, true] {
            let pools: Vec<_> = self.pools.iter().filter(|pool| matches!(pool.subnet, IpNet::V6(_)) == ipv6).collect();
            if pools.is_empty() {
                continue;
            }
            let wanted = wanted.iter().copied().find(|address| address.is_ipv6() == ipv6);
            let mut answer = None;
            for pool in pools.into_iter().filter(|pool| wanted.is_none_or(|address| pool.subnet.contains(&address))) {
                answer = Some(plugin.request_address(&pool.id, wanted, mac));
                if let Some(Ok(_)) = answer {
                    break;
                }
            }
            match answer {
                Some(Ok(given)) => taken.push(given.addr()),
                Some(Err(error)) => {
                    self.release(plugin, &taken);
                    return Err(error);
                }
                None => {}
            }
        }
        Ok(taken)
    }

    fn release(&self, plugin: &Plugin, addresses: &[IpAddr]) {
        for address in addresses {
            if let Some(pool) = self.pool_of(*address) {
                plugin.undo(plugin.release_address(&pool.id, *address));
            }
        }
    }
}

impl Network {
    /// The request with addresses that the network's IPAM plugin has given; `None` when it has none.
    pub(crate) fn with_leased(
        &self,
        target: &Target,
        request: &AttachRequest,
    ) -> Result<Option<(Lease, AttachRequest)>, Error> {
        let Some((id, lease)) = self.lease_of(target) else { return Ok(None) };
        let plugin = self.drivers.plugins.find(&lease.driver, Role::Ipam)?;
        if lease.replay && lock(&self.drivers.replayed).insert(id) {
            for pool in &lease.pools {
                let range = pool.asked.as_ref().and_then(|asked| asked.range);
                let ipv6 = matches!(pool.subnet, IpNet::V6(_));
                plugin.request_pool(&lease.space, Some(pool.subnet), range, None, ipv6)?;
            }
        }
        let mut request = request.clone();
        if lease.needs_mac && request.mac.is_none() {
            request.mac = Some(MacAddress(random::mac()?));
        }
        let mac = request.mac.filter(|_| lease.needs_mac);
        request.addresses = lease.addresses(&plugin, &request.addresses, mac)?;
        Ok(Some((lease, request)))
    }

    /// Gives the addresses of an endpoint back to the plugin that gave them, if one did.
    pub(crate) fn release_leased(&self, record: &EndpointRecord) {
        let Some(link) = &record.link else { return };
        if let Some((_, lease)) = self.lease_by_id(&record.network_id) {
            self.give_addresses_back(&lease, &link.ips().collect::<Vec<_>>());
        }
    }

    pub(crate) fn give_addresses_back(&self, lease: &Lease, addresses: &[IpAddr]) {
        match self.drivers.plugins.find(&lease.driver, Role::Ipam) {
            Ok(plugin) => lease.release(&plugin, addresses),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(plugin = lease.driver, error, "addresses could not be given back");
            }
        }
    }

    /// The pools of a network were taken by this daemon: its plugin knows of them.
    pub(crate) fn note_lease(&self, id: &types::NetworkId) {
        lock(&self.drivers.replayed).insert(id.clone());
    }

    fn lease_of(&self, target: &Target) -> Option<(types::NetworkId, Lease)> {
        match target {
            Target::Bridge(bridge) => self.lease_by_id(&bridge.id),
            Target::Driver(network) => self.lease_by_id(&network.definition.id),
            Target::Host(_) | Target::None(_) => None,
        }
    }

    fn lease_by_id(&self, id: &types::NetworkId) -> Option<(types::NetworkId, Lease)> {
        let of_bridge = || {
            self.bridges().users.iter().find(|user| user.record.definition.id == *id)?.record.definition.lease.clone()
        };
        let lease = of_bridge().or_else(|| self.drivers.find(id)?.definition.lease.clone())?;
        Some((id.clone(), lease))
    }
}
