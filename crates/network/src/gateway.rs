//! Which of a container's networks leads to the outside: default routes and published ports move there.

use crate::network::lock;
use crate::publish::Carriers;
use crate::{EndpointRecord, Error, Network, PortRequest};

impl Network {
    /// Makes an attached endpoint the container's way out: its gateways become the default routes and the ports are
    /// published through it. On failure the routes may have changed; ports are published all or none.
    pub fn lead_out(&self, record: &mut EndpointRecord, name: &str, ports: &[PortRequest]) -> Result<(), Error> {
        if let Some(network) = self.drivers.find(&record.network_id) {
            return self.lead_out_driver(&network.settings, record, ports);
        }
        self.set_routes(record, true)?;
        record.is_gateway = true;
        let Some(link) = &record.link else { return Ok(()) };
        if ports.is_empty() {
            return Ok(());
        }
        let bridge = self.bridges().all().find(|bridge| bridge.id == record.network_id).cloned();
        let bridge = bridge.ok_or_else(|| Error::UnknownNetwork(record.network_name.clone()))?;
        let wanted = Carriers::of(&self.config).plan(ports, &bridge, &link.addresses)?;
        lock(&self.state).take_ports(&record.endpoint_id, name, &wanted)?;
        let published = lock(&self.state).published_by(&record.endpoint_id);
        if let Err(error) = self.change_firewall(&published, |firewall| firewall.add(&published)) {
            let mut state = lock(&self.state);
            state.release_ports(&published);
            state.set_published(&record.endpoint_id, &[]);
            return Err(error);
        }
        self.hairpin(&link.host_device, bridge.isolate);
        self.reaper.forget_flows(&published, false);
        record.ports = published.iter().map(|published| published.binding).collect();
        Ok(())
    }

    /// Undoes [`Self::lead_out`]: another network is to take over.
    pub fn stand_back(&self, record: &mut EndpointRecord) -> Result<(), Error> {
        if let Some(network) = self.drivers.find(&record.network_id) {
            return self.stand_back_driver(&network.settings, record);
        }
        record.is_gateway = false;
        record.ports.clear();
        let published = lock(&self.state).published_by(&record.endpoint_id);
        let closed = self.close_firewall(&record.endpoint_id, &published);
        {
            let mut state = lock(&self.state);
            state.release_ports(&published);
            state.set_published(&record.endpoint_id, &[]);
        }
        self.guard.changed();
        self.reaper.forget_flows(&published, true);
        closed.and(self.set_routes(record, false))
    }

    fn set_routes(&self, record: &EndpointRecord, on: bool) -> Result<(), Error> {
        let Some(link) = &record.link else { return Ok(()) };
        let failed = |source| Error::Device { device: link.device.clone(), action: "set the default route", source };
        let mut inside = self.enter(&record.sandbox_key)?;
        let Some(device) = inside.socket.link(&link.device).map_err(failed)? else { return Ok(()) };
        for gateway in link.addresses.iter().filter_map(|own| own.gateway) {
            let done = if on {
                inside.socket.replace_default(gateway, device.index)
            } else {
                inside.socket.delete_default(gateway, device.index)
            };
            done.map_err(failed)?;
        }
        Ok(())
    }

    /// Lets the container reach itself by a published port. Without, all others still do: logged.
    fn hairpin(&self, device: &str, isolate: bool) {
        let mut route = lock(&self.route);
        let done = match route.link(device) {
            Ok(Some(link)) => route.set_bridge_port(link.index, true, isolate),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::warn!(device, %error, "a container cannot reach itself by its published ports");
        }
    }
}
