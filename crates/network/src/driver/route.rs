//! The default routes of an endpoint on a network of another driver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sys::netlink::RouteSocket;

use super::Settings;
use crate::plugin::Role;
use crate::plugin::network::port_options;
use crate::{EndpointRecord, Error, LinkRecord, Network, PortRequest};

impl Network {
    /// Makes the endpoint the way to the outside. Ports are a plugin's to publish; macvlan and ipvlan containers are on
    /// the wire themselves.
    pub(crate) fn lead_out_driver(
        &self,
        settings: &Settings,
        record: &mut EndpointRecord,
        ports: &[PortRequest],
    ) -> Result<(), Error> {
        self.route_driver(record, true)?;
        record.is_gateway = true;
        if let Settings::Plugin { name } = settings {
            let plugin = self.drivers.plugins.find(name, Role::Network)?;
            let (network, endpoint) = (record.network_id.as_str(), record.endpoint_id.as_str());
            let no_options = std::collections::BTreeMap::new();
            plugin.publish(network, endpoint, &port_options(&no_options, &[], ports))?;
            record.ports = plugin.published(network, endpoint)?;
        }
        Ok(())
    }

    /// Another network is to take over.
    pub(crate) fn stand_back_driver(&self, settings: &Settings, record: &mut EndpointRecord) -> Result<(), Error> {
        record.is_gateway = false;
        record.ports.clear();
        if let Settings::Plugin { name } = settings {
            let plugin = self.drivers.plugins.find(name, Role::Network)?;
            plugin.undo(plugin.unpublish(record.network_id.as_str(), record.endpoint_id.as_str()));
        }
        self.route_driver(record, false)
    }

    fn route_driver(&self, record: &EndpointRecord, on: bool) -> Result<(), Error> {
        let Some(link) = record.link.as_ref().filter(|link| !link.device.is_empty()) else { return Ok(()) };
        let failed = |source| Error::Device { device: link.device.clone(), action: "set the default route", source };
        let mut inside = self.enter(&record.sandbox_key)?;
        let Some(device) = inside.socket.link(&link.device).map_err(failed)? else { return Ok(()) };
        let on_link = record.driver.as_ref().is_some_and(|driver| driver.on_link);
        default_routes(&mut inside.socket, link, on_link, device.index, on).map_err(failed)
    }
}

/// Sets or takes away the default routes of each family that a link has.
pub(super) fn default_routes(
    socket: &mut RouteSocket,
    link: &LinkRecord,
    on_link: bool,
    device: u32,
    on: bool,
) -> std::io::Result<()> {
    for own in &link.addresses {
        let anywhere = match own.ip() {
            IpAddr::V4(_) => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            IpAddr::V6(_) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
        };
        match (own.gateway, on) {
            (Some(gateway), true) => socket.replace_default(gateway, device)?,
            (Some(gateway), false) => socket.delete_default(gateway, device)?,
            (None, true) if on_link => socket.replace_route(anywhere, None, device)?,
            (None, false) if on_link => socket.delete_route(anywhere, None, device)?,
            (None, _) => {}
        }
    }
    Ok(())
}
