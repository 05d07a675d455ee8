//! Attaching a container to a network, and taking it off again.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::PoisonError;

use types::EndpointId;

use crate::apply::{apply_address, apply_link, remove_link};
use crate::bridge::Bridge;
use crate::firewall::{Firewall, Published};
use crate::network::{Endpoint, Pools, Prepared, State, Target, lock};
use crate::plan::{AttachPlan, host_device, plan_attach};
use crate::port_table::Refusal;
use crate::reaper::Job;
use crate::{
    AttachRequest, EndpointRecord, Error, Ipv6Link, LinkRecord, Network, PortBinding, PortRequest, Sandbox, random,
};

impl Network {
    /// Gives the namespace a place on a network and publishes ports. On failure nothing is left behind but the
    /// namespace itself.
    ///
    /// On `host` and `none` there is no link and ports are not published, as in Docker.
    pub fn attach(&self, sandbox: &Sandbox, request: &AttachRequest) -> Result<EndpointRecord, Error> {
        let target = self.target(&request.network)?;
        let mut record = fresh_record(&target, sandbox, request)?;
        let Target::Bridge(bridge) = target else { return Ok(record) };
        let ports = if bridge.internal { &[][..] } else { &request.ports };
        if self.firewall.is_none() && !ports.is_empty() {
            return Err(Error::FirewallDisabled);
        }
        let wanted = wanted_ports(ports, bridge.bind_ip)?;
        let mut inside = self.enter(&sandbox.key)?;
        let present = device_names(&mut inside)?;
        let (address, ipv6) = lock(&self.state).take(&record.endpoint_id, &bridge, request, &wanted)?;
        let plan = plan_attach(&record.endpoint_id, &bridge, (address, ipv6), request, &present);
        let link = LinkRecord {
            host_device: plan.host_device.clone(),
            device: plan.device.clone(),
            address,
            prefix: bridge.subnet.prefix_len(),
            gateway: bridge.gateway,
            mac: plan.mac,
            ipv6,
        };
        match self.apply(&bridge, &plan, &record.endpoint_id, &mut inside) {
            Ok(published) => {
                self.reaper.forget_flows(&published, false);
                record.ports = published.iter().map(|published| published.binding).collect();
            }
            Err(error) => {
                lock(&self.state).give_back(&record.endpoint_id, &link);
                return Err(error);
            }
        }
        if self.firewall.is_some() {
            // Whoever has that chain may have come after this daemon's start.
            self.reaper.queue(Job::LetThrough(bridge.name.clone()));
        }
        record.is_gateway = plan.is_gateway;
        record.link = Some(link);
        if !record.names.is_empty() {
            self.zone.write().unwrap_or_else(PoisonError::into_inner).add(&record);
        }
        Ok(record)
    }

    /// Takes back the address, the ports and the firewall entries, and silences the link, which dies with its
    /// namespace: call it when the container's processes are gone. An endpoint that is already off is fine.
    pub fn detach(&self, record: &EndpointRecord) -> Result<(), Error> {
        self.take_off(record, |network| network.silence(&host_device(&record.endpoint_id)))
    }

    /// As [`Self::detach`], from a container that goes on: the device vanishes from it at once.
    pub fn disconnect(&self, record: &EndpointRecord) -> Result<(), Error> {
        self.take_off(record, |network| {
            let device = host_device(&record.endpoint_id);
            let failed = |source| Error::Device { device: device.clone(), action: "delete", source };
            let mut route = lock(&network.route);
            match route.link(&device).map_err(failed)? {
                Some(link) => gone(route.delete_link(link.index)).map_err(failed),
                None => Ok(()),
            }
        })
    }

    fn take_off(&self, record: &EndpointRecord, part: impl FnOnce(&Self) -> Result<(), Error>) -> Result<(), Error> {
        let Some(link) = &record.link else { return Ok(()) };
        let found = lock(&self.state).endpoints.get(&record.endpoint_id).map(|endpoint| endpoint.published.clone());
        let Some(published) = found else { return Ok(()) };
        if !record.names.is_empty() {
            self.zone.write().unwrap_or_else(PoisonError::into_inner).remove(record);
        }
        let closed = self.close_firewall(&record.endpoint_id, &published);
        let parted = part(self);
        lock(&self.state).give_back(&record.endpoint_id, link);
        self.reaper.forget_flows(&published, true);
        closed.and(parted)
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
        let published = lock(&self.state).published_by(endpoint);
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

    pub(crate) fn close_firewall(&self, endpoint: &EndpointId, published: &[Published]) -> Result<(), Error> {
        // Forgotten first, so that a table rendered meanwhile is without it; the ports stay bound until the end.
        lock(&self.state).set_published(endpoint, &[]);
        let closed = self.change_firewall(published, |firewall| firewall.remove(published));
        lock(&self.state).set_published(endpoint, published);
        closed
    }

    /// Runs one change about ports, if there are any.
    pub(crate) fn change_firewall(
        &self,
        published: &[Published],
        change: impl FnOnce(&mut Firewall) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        if published.is_empty() { Ok(()) } else { self.change_table(change) }
    }

    /// Runs one change; when the table was flushed behind our back, renders all of it again.
    pub(crate) fn change_table(&self, change: impl FnOnce(&mut Firewall) -> Result<bool, Error>) -> Result<(), Error> {
        let Some(firewall) = &self.firewall else { return Ok(()) };
        let mut firewall = lock(firewall);
        if change(&mut firewall)? {
            return Ok(());
        }
        tracing::warn!("the firewall table is not there or was changed by another program; rendering it");
        let rules = self.bridges().rules();
        let all = lock(&self.state).published();
        firewall.render(&rules, &all)
    }

    fn silence(&self, device: &str) -> Result<(), Error> {
        let mut route = lock(&self.route);
        let silenced = match route.link(device) {
            Ok(Some(link)) => route.disable_bridge_port(link.index),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        gone(silenced).map_err(|source| Error::Device { device: device.to_owned(), action: "silence", source })
    }
}

/// It died in between: fine.
fn gone(done: io::Result<()>) -> io::Result<()> {
    let missing = rustix::io::Errno::NODEV.raw_os_error();
    if done.as_ref().is_err_and(|error| error.raw_os_error() == Some(missing)) { Ok(()) } else { done }
}

impl State {
    /// Takes the addresses and all ports of an endpoint, or nothing.
    fn take(
        &mut self,
        endpoint: &EndpointId,
        bridge: &Bridge,
        request: &AttachRequest,
        wanted: &[(Ipv4Addr, PortRequest)],
    ) -> Result<(Ipv4Addr, Option<Ipv6Link>), Error> {
        // A network that is being removed has none.
        let gone = || Error::UnknownNetwork(bridge.network.clone());
        let pools = self.pools.get_mut(&bridge.id).ok_or_else(gone)?;
        let ipv4 = match request.address {
            Some(address) => pools.ipv4.reserve(address.into())?,
            None => pools.ipv4.take()?,
        };
        let IpAddr::V4(container) = ipv4 else { return Err(gone()) };
        let ipv6 = match (&mut pools.ipv6, request.ipv6) {
            (None, _) => Ok(None),
            (Some(pool), Some(address)) => pool.reserve(address.into()).map(Some),
            (Some(pool), None) => pool.take().map(Some),
        };
        let ipv6 = match ipv6 {
            Ok(address) => address,
            Err(error) => {
                pools.ipv4.release(ipv4);
                return Err(error);
            }
        };
        let ipv6 = match (ipv6, bridge.subnet6) {
            (Some(IpAddr::V6(address)), Some((subnet, gateway))) => {
                Some(Ipv6Link { address, prefix: subnet.prefix_len(), gateway })
            }
            _ => None,
        };
        let made = Endpoint { network: bridge.id.clone(), published: Vec::new() };
        self.endpoints.insert(endpoint.clone(), made);
        if let Err(error) = self.take_ports(endpoint, container, &request.container_name, wanted) {
            self.endpoints.remove(endpoint);
            if let Some(pools) = self.pools.get_mut(&bridge.id) {
                pools.release(container, ipv6);
            }
            return Err(error);
        }
        Ok((container, ipv6))
    }

    /// Takes all ports of an endpoint, or none.
    pub(crate) fn take_ports(
        &mut self,
        endpoint: &EndpointId,
        container: Ipv4Addr,
        name: &str,
        wanted: &[(Ipv4Addr, PortRequest)],
    ) -> Result<(), Error> {
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
                    self.release_ports(&published);
                    return Err(refused(refusal, endpoint, name, host_ip, port));
                }
            }
        }
        self.set_published(endpoint, &published);
        Ok(())
    }

    pub(crate) fn release_ports(&mut self, published: &[Published]) {
        for Published { binding, .. } in published {
            self.ports.release(binding.protocol, binding.host_ip, binding.host_port);
        }
    }

    pub(crate) fn published_by(&self, endpoint: &EndpointId) -> Vec<Published> {
        self.endpoints.get(endpoint).map(|endpoint| endpoint.published.clone()).unwrap_or_default()
    }

    pub(crate) fn set_published(&mut self, endpoint: &EndpointId, published: &[Published]) {
        if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
            endpoint.published = published.to_vec();
        }
    }

    fn give_back(&mut self, endpoint: &EndpointId, link: &LinkRecord) {
        let Some(Endpoint { network, published }) = self.endpoints.remove(endpoint) else { return };
        self.release_ports(&published);
        if let Some(pools) = self.pools.get_mut(&network) {
            pools.release(link.address, link.ipv6);
        }
    }
}

impl Pools {
    fn release(&mut self, ipv4: Ipv4Addr, ipv6: Option<Ipv6Link>) {
        self.ipv4.release(ipv4.into());
        if let (Some(pool), Some(ipv6)) = (&mut self.ipv6, ipv6) {
            pool.release(ipv6.address.into());
        }
    }
}

/// The record of an endpoint that nothing was done for yet.
fn fresh_record(target: &Target, sandbox: &Sandbox, request: &AttachRequest) -> Result<EndpointRecord, Error> {
    let (network_id, network_name) = match target {
        Target::Bridge(bridge) => (bridge.id.clone(), bridge.network.clone()),
        Target::Host(id) => (id.clone(), "host".to_owned()),
        Target::None(id) => (id.clone(), "none".to_owned()),
    };
    let user = !matches!(network_name.as_str(), "bridge" | "host" | "none");
    Ok(EndpointRecord {
        endpoint_id: random::endpoint_id()?,
        network_id,
        network_name,
        container_id: request.container_id.clone(),
        sandbox_id: sandbox.id.clone(),
        sandbox_key: sandbox.key.clone(),
        link: None,
        ports: Vec::new(),
        names: if user { request.names.clone() } else { Vec::new() },
        is_gateway: false,
    })
}

fn device_names(inside: &mut Prepared) -> Result<Vec<String>, Error> {
    if inside.fresh {
        return Ok(Vec::new());
    }
    let links =
        inside.socket.links().map_err(|source| Error::Netlink { action: "list a container's devices", source })?;
    Ok(links.into_iter().map(|link| link.name).collect())
}

pub(crate) fn wanted_ports(ports: &[PortRequest], default: Ipv4Addr) -> Result<Vec<(Ipv4Addr, PortRequest)>, Error> {
    let address = |port: &PortRequest| match port.host_ip {
        None => Ok((default, *port)),
        Some(IpAddr::V4(address)) => Ok((address, *port)),
        Some(address @ IpAddr::V6(_)) => Err(Error::Ipv6Publish(address)),
    };
    ports.iter().map(address).collect()
}

fn refused(refusal: Refusal, endpoint: &EndpointId, name: &str, address: Ipv4Addr, port: PortRequest) -> Error {
    let (container, endpoint) = (name.to_owned(), endpoint.clone());
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
