//! Networks of plugins: what the plugin is told, and moving its devices into containers and back.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd;

use ipnet::IpNet;
use serde_json::json;

use super::attach::Place;
use super::route::default_routes;
use super::{DriverEndpoint, DriverError, DriverNetwork};
use crate::network::lock;
use crate::plan::mac_of;
use crate::plugin::network::{Interface, Joined, Options, PoolData, port_options};
use crate::plugin::{Plugin, PluginError, Role};
use crate::{EndpointRecord, Error, LinkAddress, LinkRecord, MacAddress, Network, NetworkRequest, Sandbox};

/// What a network's plugin is told about it before it is made.
pub(super) fn network_options(request: &NetworkRequest) -> Options {
    options(&json!(request.options), request.ipv4.unwrap_or(true), request.ipv6.unwrap_or(false), request.internal)
}

fn options(generic: &serde_json::Value, ipv4: bool, ipv6: bool, internal: bool) -> Options {
    let mut all = Options::new();
    all.insert("com.docker.network.generic".to_owned(), generic.clone());
    all.insert("com.docker.network.enable_ipv4".to_owned(), ipv4.into());
    all.insert("com.docker.network.enable_ipv6".to_owned(), ipv6.into());
    if internal {
        all.insert("com.docker.network.internal".to_owned(), true.into());
    }
    all
}

/// Tells a plugin of a network.
pub(super) fn create(plugin: &Plugin, network: &DriverNetwork) -> Result<(), PluginError> {
    let data = |ipv6: bool| -> Vec<PoolData> {
        let family = network.definition.subnets.iter().filter(|subnet| matches!(subnet.net, IpNet::V6(_)) == ipv6);
        let pool = |subnet: &crate::definition::Subnet| {
            let prefix = subnet.net.prefix_len();
            let asked = network.definition.pool(subnet);
            let auxiliary = asked.into_iter().flat_map(|asked| &asked.auxiliary);
            PoolData {
                address_space: "LocalDefault".to_owned(),
                pool: subnet.net.to_string(),
                gateway: subnet.gateway.map(|gateway| format!("{gateway}/{prefix}")).unwrap_or_default(),
                aux_addresses: auxiliary.map(|(name, ip)| (name.clone(), format!("{ip}/{prefix}"))).collect(),
            }
        };
        family.map(pool).collect()
    };
    let mut ipv4 = data(false);
    if network.ipam_driver == "null" {
        // The pool that means all addresses and none.
        ipv4.push(PoolData {
            address_space: "null".to_owned(),
            pool: "0.0.0.0/0".to_owned(),
            gateway: "0.0.0.0/0".to_owned(),
            aux_addresses: std::collections::BTreeMap::new(),
        });
    }
    let options = options(
        &json!(network.definition.options),
        network.definition.ipv4,
        network.definition.ipv6,
        network.definition.internal,
    );
    plugin.create_network(network.definition.id.as_str(), &options, &ipv4, &data(true))
}

impl Network {
    /// Makes an endpoint at a plugin and moves its device into the container. On failure the plugin is told to take
    /// it back.
    pub(super) fn plug_remote(
        &self,
        name: &str,
        sandbox: &Sandbox,
        mut place: Place<'_>,
        record: &mut EndpointRecord,
    ) -> Result<(), Error> {
        let plugin = self.drivers.plugins.find(name, Role::Network)?;
        let (network, endpoint) = (record.network_id.clone(), record.endpoint_id.clone());
        let (network, endpoint) = (network.as_str(), endpoint.as_str());
        let options = port_options(&place.request.options, &place.request.exposed, &place.request.ports);
        let own =
            |ipv6: bool| place.addresses.iter().map(|own| own.address).find(|net| matches!(net, IpNet::V6(_)) == ipv6);
        let wanted = Interface { ipv4: own(false), ipv6: own(true), mac: place.request.mac };
        let chosen = plugin.create_endpoint(network, endpoint, &wanted, &options)?;
        let undo_endpoint = || plugin.undo(plugin.delete_endpoint(network, endpoint));
        let key = sandbox.key.display().to_string();
        let joined = plugin.join(network, endpoint, &key, &options).inspect_err(|_| undo_endpoint())?;
        let undo = || {
            plugin.undo(plugin.leave(network, endpoint));
            undo_endpoint();
        };
        self.move_in(&plugin, &mut place, &chosen, &joined, record).inspect_err(|_| undo())?;
        if record.is_gateway {
            let published = plugin
                .publish(
                    network,
                    endpoint,
                    &port_options(&place.request.options, &place.request.exposed, &place.request.ports),
                )
                .and_then(|()| plugin.published(network, endpoint));
            match published {
                Ok(ports) => record.ports = ports,
                Err(error) => {
                    self.move_out(&plugin, record);
                    undo();
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Tells the plugin that the container has gone, after its device was given back. What fails is logged, like
    /// Docker does: the container is off either way.
    pub(super) fn unplug_remote(&self, name: &str, record: &EndpointRecord) {
        let plugin = match self.drivers.plugins.find(name, Role::Network) {
            Ok(plugin) => plugin,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(plugin = name, error, "a plugin could not be told that a container has gone");
                return;
            }
        };
        self.move_out(&plugin, record);
        let (network, endpoint) = (record.network_id.as_str(), record.endpoint_id.as_str());
        let steps: [&dyn Fn() -> Result<(), PluginError>; 3] = [
            &|| if record.is_gateway { plugin.unpublish(network, endpoint) } else { Ok(()) },
            &|| plugin.leave(network, endpoint),
            &|| plugin.delete_endpoint(network, endpoint),
        ];
        for step in steps {
            let done = step();
            let dead = matches!(done, Err(PluginError::Unreachable { .. }));
            plugin.undo(done);
            // It would be waited for three times.
            if dead {
                break;
            }
        }
    }

    fn move_in(
        &self,
        plugin: &Plugin,
        place: &mut Place<'_>,
        chosen: &Interface,
        joined: &Joined,
        record: &mut EndpointRecord,
    ) -> Result<(), Error> {
        let addresses = link_addresses(chosen, joined);
        let mut link = LinkRecord {
            host_device: String::new(),
            device: String::new(),
            mac: chosen.mac.unwrap_or_else(|| mac_of(&addresses, &record.endpoint_id)),
            addresses,
        };
        let mut driver = DriverEndpoint { routes: joined.routes.clone(), ..DriverEndpoint::default() };
        if let Some((source, prefix)) = &joined.device {
            link.host_device.clone_from(source);
            link.device = place.device(if prefix.is_empty() { "eth" } else { prefix });
            driver.source = Some(source.clone());
            self.move_device(plugin, source, place, chosen.mac, &mut link)?;
        }
        record.link = Some(link);
        record.driver = Some(driver);
        self.configure_moved(place, record).inspect_err(|_| self.move_out(plugin, record))
    }

    /// Takes the plugin's device into the container under its new name.
    fn move_device(
        &self,
        plugin: &Plugin,
        source: &str,
        place: &mut Place<'_>,
        mac: Option<MacAddress>,
        link: &mut LinkRecord,
    ) -> Result<(), Error> {
        let failed = |action| move |error| Error::Device { device: source.to_owned(), action, source: error };
        let mut route = lock(&self.route);
        let found = if source.len() <= 15 { route.link(source).map_err(failed("find"))? } else { None };
        let missing = || DriverError::NoDevice { plugin: plugin.name().to_owned(), device: source.to_owned() };
        let found = found.ok_or_else(missing)?;
        link.mac = mac.unwrap_or(MacAddress(found.mac));
        route.move_link(found.index, place.inside.namespace.as_fd(), &link.device).map_err(failed("move"))
    }

    fn configure_moved(&self, place: &mut Place<'_>, record: &EndpointRecord) -> Result<(), Error> {
        let Some(link) = record.link.as_ref().filter(|link| !link.device.is_empty()) else { return Ok(()) };
        let failed = |action| move |source| Error::Device { device: link.device.clone(), action, source };
        let socket = &mut place.inside.socket;
        let gone = || failed("find")(std::io::ErrorKind::NotFound.into());
        let found = socket.link(&link.device).map_err(failed("find"))?.ok_or_else(gone)?;
        let index = found.index;
        if found.mac != link.mac.0 {
            // It is down: some devices do not change theirs when they are up.
            socket.set_mac(index, link.mac.0).map_err(failed("set MAC address"))?;
        }
        let nets: Vec<(IpAddr, u8)> = link.addresses.iter().map(|own| (own.ip(), own.address.prefix_len())).collect();
        socket.configure(index, &nets, &[]).map_err(failed("set address"))?;
        for &address in &place.request.link_local {
            let prefix = if address.is_ipv4() { 16 } else { 64 };
            let address = sys::netlink::Address { device: index, address, prefix };
            socket.add_address(address).map_err(failed("set link-local address"))?;
        }
        for route in record.driver.iter().flat_map(|driver| &driver.routes) {
            let to = (route.destination.network(), route.destination.prefix_len());
            socket.replace_route(to, route.next_hop, index).map_err(failed("set a route"))?;
        }
        if record.is_gateway {
            default_routes(socket, link, false, index, true).map_err(failed("set the default route"))?;
        }
        Ok(())
    }

    /// Gives the plugin its device back under its own name, as far as it is still there.
    fn move_out(&self, plugin: &Plugin, record: &EndpointRecord) {
        let source = record.driver.as_ref().and_then(|driver| driver.source.as_ref());
        let (Some(source), Some(link)) = (source, &record.link) else { return };
        let moved = || -> Result<(), Error> {
            let Ok(mut inside) = self.enter(&record.sandbox_key) else { return Ok(()) };
            let failed = |error| Error::Device { device: link.device.clone(), action: "give back", source: error };
            let Some(found) = inside.socket.link(&link.device).map_err(failed)? else { return Ok(()) };
            let host = File::open("/proc/self/ns/net").map_err(failed)?;
            inside.socket.move_link(found.index, host.as_fd(), source).map_err(failed)
        };
        if let Err(error) = moved() {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(plugin = plugin.name(), device = source, error, "a plugin's device stays in its container");
        }
    }
}

/// Each address with the gateway of its family.
fn link_addresses(chosen: &Interface, joined: &Joined) -> Vec<LinkAddress> {
    let nets = [chosen.ipv4, chosen.ipv6].into_iter().flatten();
    nets.map(|address| {
        let family = |gateway: &IpAddr| gateway.is_ipv6() == matches!(address, IpNet::V6(_));
        LinkAddress { address, gateway: joined.gateways.iter().copied().find(family) }
    })
    .collect()
}
