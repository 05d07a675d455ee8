//! Attaching a container to a network, and taking it off again.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use types::EndpointId;

use crate::apply::{apply_address, apply_link, remove_link};
use crate::bridge::Bridge;
use crate::firewall::{Firewall, Published};
use crate::network::{Prepared, State, lock};
use crate::plan::{AttachPlan, host_device, plan_attach};
use crate::port_table::Refusal;
use crate::reaper::Job;
use crate::{
    AttachRequest, Driver, EndpointRecord, Error, LinkRecord, Network, PortBinding, PortRequest, Sandbox, random,
};

impl Network {
    /// Gives the namespace a place on a network and publishes ports. On failure nothing is left behind but the
    /// namespace itself.
    ///
    /// On `host` and `none` there is no link and ports are not published, as in Docker.
    pub fn attach(&self, sandbox: &Sandbox, request: &AttachRequest) -> Result<EndpointRecord, Error> {
        let network = self.network(&request.network)?;
        let mut record = EndpointRecord {
            endpoint_id: random::endpoint_id()?,
            network_id: network.id,
            network_name: network.name,
            container_id: request.container_id.clone(),
            sandbox_id: sandbox.id.clone(),
            sandbox_key: sandbox.key.clone(),
            link: None,
            ports: Vec::new(),
        };
        if network.driver != Driver::Bridge {
            if network.driver == Driver::Null {
                drop(self.enter(&sandbox.key)?);
            }
            return Ok(record);
        }
        let bridge = self.bridge.as_ref().ok_or(Error::BridgeDisabled)?;
        if self.firewall.is_none() && !request.ports.is_empty() {
            return Err(Error::FirewallDisabled);
        }
        let wanted = wanted_ports(&request.ports, self.config.default_bind_ip)?;
        let mut inside = self.enter(&sandbox.key)?;
        let present = device_names(&mut inside)?;
        let address = lock(&self.state).take(&record.endpoint_id, request, &wanted)?;
        let plan = plan_attach(&record.endpoint_id, address, request, &present);
        match self.apply(bridge, &plan, &record.endpoint_id, &mut inside) {
            Ok(published) => {
                self.reaper.forget_flows(&published, false);
                record.ports = published.iter().map(|published| published.binding).collect();
            }
            Err(error) => {
                lock(&self.state).give_back(&record.endpoint_id, address);
                return Err(error);
            }
        }
        if self.firewall.is_some() {
            // Whoever has that chain may have come after this daemon's start.
            self.reaper.queue(Job::LetThrough(bridge.name.clone()));
        }
        record.link = Some(LinkRecord {
            host_device: plan.host_device,
            device: plan.device,
            address,
            prefix: bridge.subnet.prefix_len(),
            gateway: bridge.gateway,
            mac: plan.mac,
        });
        Ok(record)
    }

    /// Takes back the address, the ports and the firewall entries, and silences the link, which dies with its
    /// namespace: call it when the container's processes are gone. An endpoint that is already off is fine.
    pub fn detach(&self, record: &EndpointRecord) -> Result<(), Error> {
        let Some(link) = &record.link else { return Ok(()) };
        let Some(published) = lock(&self.state).endpoints.get(&record.endpoint_id).cloned() else { return Ok(()) };
        let closed = self.close_firewall(&record.endpoint_id, &published);
        let silenced = self.silence(&host_device(&record.endpoint_id));
        lock(&self.state).give_back(&record.endpoint_id, link.address);
        self.reaper.forget_flows(&published, true);
        closed.and(silenced)
    }

    /// Makes the link, sets the address and opens the firewall; takes back in reverse when a step fails.
    fn apply(
        &self,
        bridge: &Bridge,
        plan: &AttachPlan,
        endpoint: &EndpointId,
        inside: &mut Prepared,
    ) -> Result<Vec<Published>, Error> {
        let link = apply_link(&mut lock(&self.route), bridge, plan, &inside.namespace)?;
        let published = lock(&self.state).endpoints.get(endpoint).cloned().unwrap_or_default();
        let done = apply_address(&self.route, &mut inside.socket, bridge, plan, link)
            .and_then(|()| self.change_firewall(&published, |firewall| firewall.add(&published)));
        if let Err(error) = done {
            // Another thread may have rendered the whole table meanwhile, with these ports in it.
            if let Err(error) = self.close_firewall(endpoint, &published) {
                tracing::warn!(%error, "cannot take back published ports");
            }
            remove_link(&mut lock(&self.route), &plan.host_device);
            return Err(error);
        }
        Ok(published)
    }

    fn close_firewall(&self, endpoint: &EndpointId, published: &[Published]) -> Result<(), Error> {
        // Forgotten first, so that a table rendered meanwhile is without it; the ports stay bound until the end.
        if let Some(ports) = lock(&self.state).endpoints.get_mut(endpoint) {
            ports.clear();
        }
        let closed = self.change_firewall(published, |firewall| firewall.remove(published));
        if let Some(ports) = lock(&self.state).endpoints.get_mut(endpoint) {
            ports.extend_from_slice(published);
        }
        closed
    }

    /// Runs one change; when the table was flushed behind our back, renders all of it again.
    fn change_firewall(
        &self,
        published: &[Published],
        change: impl FnOnce(&mut Firewall) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let Some(firewall) = self.firewall.as_ref().filter(|_| !published.is_empty()) else { return Ok(()) };
        let mut firewall = lock(firewall);
        if change(&mut firewall)? {
            return Ok(());
        }
        tracing::warn!("the firewall table was changed by another program; rendering it again");
        let all = lock(&self.state).published();
        firewall.render(&all)
    }

    fn silence(&self, device: &str) -> Result<(), Error> {
        let mut route = lock(&self.route);
        let silenced = match route.link(device) {
            Ok(Some(link)) => route.disable_bridge_port(link.index),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        match silenced {
            // It died in between.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => Ok(()),
            silenced => {
                silenced.map_err(|source| Error::Device { device: device.to_owned(), action: "silence", source })
            }
        }
    }
}

impl State {
    /// Takes an address and all ports of an endpoint, or nothing.
    fn take(
        &mut self,
        endpoint: &EndpointId,
        request: &AttachRequest,
        wanted: &[(Ipv4Addr, PortRequest)],
    ) -> Result<Ipv4Addr, Error> {
        let pool = self.addresses.as_mut().ok_or(Error::BridgeDisabled)?;
        let container = match request.address {
            Some(address) => pool.reserve(address)?,
            None => pool.take()?,
        };
        let mut published = Vec::with_capacity(wanted.len());
        for &(host_ip, port) in wanted {
            match self.ports.reserve(port.protocol, host_ip, port.host_port) {
                Ok(host_port) => published.push(Published {
                    binding: PortBinding {
                        container_port: port.container_port,
                        protocol: port.protocol,
                        host_ip,
                        host_port,
                    },
                    container,
                }),
                Err(refusal) => {
                    self.endpoints.insert(endpoint.clone(), published);
                    self.give_back(endpoint, container);
                    return Err(refused(refusal, endpoint, request, host_ip, port));
                }
            }
        }
        self.endpoints.insert(endpoint.clone(), published);
        Ok(container)
    }

    fn give_back(&mut self, endpoint: &EndpointId, address: Ipv4Addr) {
        let Some(published) = self.endpoints.remove(endpoint) else { return };
        for Published { binding, .. } in published {
            self.ports.release(binding.protocol, binding.host_ip, binding.host_port);
        }
        if let Some(pool) = &mut self.addresses {
            pool.release(address);
        }
    }
}

fn device_names(inside: &mut Prepared) -> Result<Vec<String>, Error> {
    if inside.fresh {
        return Ok(Vec::new());
    }
    let links =
        inside.socket.links().map_err(|source| Error::Netlink { action: "list a container's devices", source })?;
    Ok(links.into_iter().map(|link| link.name).collect())
}

fn wanted_ports(ports: &[PortRequest], default: Ipv4Addr) -> Result<Vec<(Ipv4Addr, PortRequest)>, Error> {
    let address = |port: &PortRequest| match port.host_ip {
        None => Ok((default, *port)),
        Some(IpAddr::V4(address)) => Ok((address, *port)),
        Some(address @ IpAddr::V6(_)) => Err(Error::Ipv6Publish(address)),
    };
    ports.iter().map(address).collect()
}

fn refused(
    refusal: Refusal,
    endpoint: &EndpointId,
    request: &AttachRequest,
    address: Ipv4Addr,
    port: PortRequest,
) -> Error {
    let (container, endpoint) = (request.container_name.clone(), endpoint.clone());
    match refusal {
        Refusal::Allocated(port) => Error::PortAllocated { container, endpoint, address, port },
        Refusal::Exhausted(first) => Error::PortsExhausted { container, endpoint, address, first },
        Refusal::Bind(number, source) => Error::PortBind {
            container,
            endpoint,
            address,
            port: number,
            protocol: port.protocol,
            reason: reason(&source),
            source,
        },
    }
}

/// The words that Go, and so Docker, has for what bind(2) says.
fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use",
        io::ErrorKind::AddrNotAvailable => "cannot assign requested address",
        io::ErrorKind::PermissionDenied => "permission denied",
        _ => "cannot bind",
    }
}
