//! Which of a container's networks leads to the outside: default routes and published ports move there.

use std::net::IpAddr;

use crate::attach::wanted_ports;
use crate::network::lock;
use crate::{EndpointRecord, Error, Network, PortRequest};

impl Network {
    /// Makes an attached endpoint the container's way out: its gateways become the default routes and the ports are
    /// published through it. On failure the routes may have changed; ports are published all or none.
    pub fn lead_out(&self, record: &mut EndpointRecord, name: &str, ports: &[PortRequest]) -> Result<(), Error> {
        self.set_routes(record, true)?;
        record.is_gateway = true;
        let Some(link) = &record.link else { return Ok(()) };
        if ports.is_empty() {
            return Ok(());
        }
        if self.firewall.is_none() {
            return Err(Error::FirewallDisabled);
        }
        let (bind_ip, isolate) = {
            let bridges = self.bridges();
            let bridge = bridges.all().find(|bridge| bridge.id == record.network_id);
            bridge.map_or((self.config.default_bind_ip, false), |bridge| (bridge.bind_ip, bridge.isolate))
        };
        let wanted = wanted_ports(ports, bind_ip)?;
        lock(&self.state).take_ports(&record.endpoint_id, link.address, name, &wanted)?;
        let published = lock(&self.state).published_by(&record.endpoint_id);
        if let Err(error) = self.change_firewall(&published, |firewall| firewall.add(&published)) {
            let mut state = lock(&self.state);
            state.release_ports(&published);
            state.set_published(&record.endpoint_id, &[]);
            return Err(error);
        }
        self.hairpin(&link.host_device, isolate);
        self.reaper.forget_flows(&published, false);
        record.ports = published.iter().map(|published| published.binding).collect();
        Ok(())
    }

    /// Undoes [`Self::lead_out`]: another network is to take over.
    pub fn stand_back(&self, record: &mut EndpointRecord) -> Result<(), Error> {
        record.is_gateway = false;
        record.ports.clear();
        let published = lock(&self.state).published_by(&record.endpoint_id);
        let closed = self.close_firewall(&record.endpoint_id, &published);
        {
            let mut state = lock(&self.state);
            state.release_ports(&published);
            state.set_published(&record.endpoint_id, &[]);
        }
        self.reaper.forget_flows(&published, true);
        closed.and(self.set_routes(record, false))
    }

    fn set_routes(&self, record: &EndpointRecord, on: bool) -> Result<(), Error> {
        let Some(link) = &record.link else { return Ok(()) };
        let failed = |source| Error::Device { device: link.device.clone(), action: "set the default route", source };
        let mut inside = self.enter(&record.sandbox_key)?;
        let Some(device) = inside.socket.link(&link.device).map_err(failed)? else { return Ok(()) };
        let gateways: [Option<IpAddr>; 2] = [Some(link.gateway.into()), link.ipv6.map(|ipv6| ipv6.gateway.into())];
        for gateway in gateways.into_iter().flatten() {
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
