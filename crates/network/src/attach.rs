//! Attaching a container to a network, and taking it off again.

use std::io;
use std::sync::PoisonError;

use types::EndpointId;

use crate::apply::{apply_address, apply_link, remove_link};
use crate::bridge::Bridge;
use crate::firewall::Firewall;
use crate::gone::or_gone;
use crate::network::{Endpoint, Prepared, State, lock};
use crate::plan::{AttachPlan, host_device, plan_attach};
use crate::port_table::Refusal;
use crate::publish::{Carriers, Published, Wanted};
use crate::reaper::Job;
use crate::remover;
use crate::target::Target;
use crate::{
    AttachRequest, EndpointRecord, Error, LinkAddress, LinkRecord, Network, PortRequest, Protocol, Sandbox, holder,
    random,
};

impl Network {
    /// Gives the namespace a place on a network and publishes ports. On failure nothing is left behind but the
    /// namespace itself.
    ///
    /// On `host` and `none` there is no link and ports are not published, as in Docker.
    pub fn attach(&self, sandbox: &Sandbox, request: &AttachRequest) -> Result<EndpointRecord, Error> {
        let target = self.target(&request.network)?;
        let Some((lease, leased)) = self.with_leased(&target, request)? else {
            return self.attach_to(&target, sandbox, request);
        };
        self.attach_to(&target, sandbox, &leased).inspect_err(|_| self.give_addresses_back(&lease, &leased.addresses))
    }

    fn attach_to(&self, target: &Target, sandbox: &Sandbox, request: &AttachRequest) -> Result<EndpointRecord, Error> {
        let mut record = fresh_record(target, sandbox, request)?;
        let bridge = match target {
            Target::Bridge(bridge) => bridge,
            Target::Driver(network) => return self.attach_driver(network, sandbox, request, record),
            Target::Host(_) | Target::None(_) => return Ok(record),
        };
        let ports = if bridge.internal { &[][..] } else { &request.ports };
        let mut inside = self.enter(&sandbox.key)?;
        let present = device_names(&mut inside)?;
        let carriers = (!ports.is_empty()).then(|| Carriers::of(&self.config));
        let addresses = lock(&self.state).take(&record.endpoint_id, bridge, request, ports, carriers)?;
        let plan = plan_attach(&record.endpoint_id, bridge, addresses, request, &present);
        let link = LinkRecord {
            host_device: plan.host_device.clone(),
            device: plan.device.clone(),
            mac: plan.mac,
            addresses: plan.addresses.clone(),
        };
        match self.apply(bridge, &plan, &record.endpoint_id, &mut inside) {
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
            let removed = remover::remove(&network.route, &device);
            removed.map_err(|source| Error::Device { device, action: "delete", source })
        })
    }

    fn take_off(&self, record: &EndpointRecord, part: impl FnOnce(&Self) -> Result<(), Error>) -> Result<(), Error> {
        let Some(link) = &record.link else { return Ok(()) };
        if let Some(network) = self.drivers.find(&record.network_id) {
            return self.take_off_driver(&network, record);
        }
        let found = lock(&self.state).endpoints.get(&record.endpoint_id).map(|endpoint| endpoint.published.clone());
        let Some(published) = found else { return Ok(()) };
        if !record.names.is_empty() {
            self.zone.write().unwrap_or_else(PoisonError::into_inner).remove(record);
        }
        let closed = self.close_firewall(&record.endpoint_id, &published);
        let closed = closed.and(self.forget_linked(record));
        let parted = part(self);
        lock(&self.state).give_back(&record.endpoint_id, link);
        self.guard.changed();
        self.release_leased(record);
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
        self.guard.changed();
        if change(&mut firewall)? {
            return Ok(());
        }
        tracing::warn!("the firewall table is not there or was changed by another program; rendering it");
        firewall.render(&self.model())
    }

    fn silence(&self, device: &str) -> Result<(), Error> {
        let mut route = lock(&self.route);
        let silenced = match route.link(device) {
            Ok(Some(link)) => route.disable_bridge_port(link.index),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        or_gone(silenced).map_err(|source| Error::Device { device: device.to_owned(), action: "silence", source })
    }
}

impl State {
    /// Takes the addresses and all ports of an endpoint, or nothing.
    fn take(
        &mut self,
        endpoint: &EndpointId,
        bridge: &Bridge,
        request: &AttachRequest,
        ports: &[PortRequest],
        carriers: Option<Carriers>,
    ) -> Result<Vec<LinkAddress>, Error> {
        // A network that is being removed has none.
        let gone = || Error::UnknownNetwork(bridge.network.clone());
        let addresses = self.pools.get_mut(&bridge.id).ok_or_else(gone)?.take(&request.addresses)?;
        let linkable = addresses.iter().map(LinkAddress::ip).collect();
        let made = Endpoint { network: bridge.id.clone(), published: Vec::new(), linkable };
        self.endpoints.insert(endpoint.clone(), made);
        let wanted = carriers.map_or_else(|| Ok(Vec::new()), |carriers| carriers.plan(ports, bridge, &addresses));
        let taken = wanted.and_then(|wanted| self.take_ports(endpoint, &request.container_name, &wanted));
        if let Err(error) = taken {
            self.endpoints.remove(endpoint);
            if let Some(pools) = self.pools.get_mut(&bridge.id) {
                pools.release(addresses.iter().map(LinkAddress::ip));
            }
            return Err(error);
        }
        Ok(addresses)
    }

    /// Takes all ports of an endpoint, or none.
    pub(crate) fn take_ports(&mut self, endpoint: &EndpointId, name: &str, wanted: &[Wanted]) -> Result<(), Error> {
        let mut published = Vec::with_capacity(wanted.len());
        for one in wanted {
            match self.ports.reserve(name, one) {
                Ok(taken) => published.extend(taken),
                Err(refusal) => {
                    self.release_ports(&published);
                    return Err(refused(refusal, endpoint, name, one.request.protocol));
                }
            }
        }
        self.set_published(endpoint, &published);
        Ok(())
    }

    pub(crate) fn release_ports(&mut self, published: &[Published]) {
        self.ports.release(published);
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
        let Some(Endpoint { network, published, .. }) = self.endpoints.remove(endpoint) else { return };
        self.release_ports(&published);
        if let Some(pools) = self.pools.get_mut(&network) {
            pools.release(link.ips());
        }
    }
}

/// The record of an endpoint that nothing was done for yet.
fn fresh_record(target: &Target, sandbox: &Sandbox, request: &AttachRequest) -> Result<EndpointRecord, Error> {
    let (network_id, network_name) = match target {
        Target::Bridge(bridge) => (bridge.id.clone(), bridge.network.clone()),
        Target::Driver(network) => (network.definition.id.clone(), network.definition.name.clone()),
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
        driver: None,
        ports: Vec::new(),
        names: if user { request.names.clone() } else { Vec::new() },
        is_gateway: false,
    })
}

pub(crate) fn device_names(inside: &mut Prepared) -> Result<Vec<String>, Error> {
    if inside.fresh {
        return Ok(Vec::new());
    }
    let links =
        inside.socket.links().map_err(|source| Error::Netlink { action: "list a container's devices", source })?;
    Ok(links.into_iter().map(|link| link.name).collect())
}

pub(crate) fn refused(refusal: Refusal, endpoint: &EndpointId, name: &str, protocol: Protocol) -> Error {
    let (container, endpoint) = (name.to_owned(), endpoint.clone());
    match refusal {
        Refusal::Allocated { address, port, holder } => {
            let holder = format!("container {holder}");
            Error::PortAllocated { container, endpoint, address, port, holder }
        }
        Refusal::Exhausted(address, first) => Error::PortsExhausted { container, endpoint, address, first },
        Refusal::Bind(address, port, source) => {
            let taken = source.kind() == io::ErrorKind::AddrInUse;
            let holder = taken.then(|| holder::of(protocol, address, port)).flatten().unwrap_or_default();
            let reason = reason(&source);
            Error::PortBind { container, endpoint, address, port, protocol, holder, reason, source }
        }
        Refusal::Relay(source) => Error::Relay(source),
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
