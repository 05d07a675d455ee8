//! `network connect` and `network disconnect`, as the actor does them, and what `rm --link` takes away.

use std::sync::Arc;

use network::{EndpointRecord, Sandbox};

use super::Container;
use super::actor::Actor;
use crate::attachments::{self, Attachments};
use crate::engine::Engine;
use crate::error::{Error, Invalid};
use crate::model::EndpointRequest;
use crate::name_files;
use crate::networks::{Way, check_mode};
use crate::start::{self, HostResolvConf};

impl Actor {
    /// Puts the container on a network. On failure it is where it was.
    pub(super) async fn connect(&mut self, network: &str, request: EndpointRequest) -> Result<(), Error> {
        let before = self.status.borrow().clone();
        let mut attached = attachments::of(&self.container.spec, &before);
        check_mode(&self.container.spec.host.network_mode, &attached, network)?;
        self.engine.check_endpoint(network, &request)?;
        let known = before.endpoints.iter().any(|endpoint| endpoint.network_name == network);
        if known {
            let (container, network) = (before.name, network.to_owned());
            return Err(Error::EndpointExists { container, network });
        }
        attached.insert(network.to_owned(), request);
        if !before.state.is_running() {
            self.update(|status| status.attachments = Some(attached));
            return Ok(());
        }
        let pid = before.state.pid().unwrap_or_default();
        let (engine, container, name) = (Arc::clone(&self.engine), Arc::clone(&self.container), network.to_owned());
        let (endpoints, wanted) = (before.endpoints, attached.clone());
        let endpoints = self.engine.blocking(move || plug(&engine, &container, pid, endpoints, &wanted, &name)).await?;
        self.update(|status| {
            status.endpoints = endpoints;
            status.attachments = Some(attached);
        });
        self.tell(network, "connect");
        Ok(())
    }

    /// Takes the container off a network.
    pub(super) async fn disconnect(&mut self, network: &str) -> Result<(), Error> {
        let before = self.status.borrow().clone();
        let mut attached = attachments::of(&self.container.spec, &before);
        if network == "host" {
            return Err(Invalid::HostNetwork.into());
        }
        if attached.remove(network).is_none() {
            let (container, network) = (self.id().to_owned(), network.to_owned());
            return Err(Error::NotConnected { container, network });
        }
        if before.state.is_running() {
            // Written down first: a daemon that is killed in the middle finishes it when it starts again, as it removes
            // links that no record names.
            let left = before.endpoints.iter().filter(|endpoint| endpoint.network_name != network).cloned().collect();
            let wanted = attached.clone();
            self.update(|status| {
                status.endpoints = left;
                status.attachments = Some(attached);
            });
            let (engine, container, name) = (Arc::clone(&self.engine), Arc::clone(&self.container), network.to_owned());
            let endpoints = before.endpoints.clone();
            match self.engine.blocking(move || unplug(&engine, &container, endpoints, &wanted, &name)).await {
                Ok(endpoints) => self.update(|status| status.endpoints = endpoints),
                Err(error) => {
                    self.update(|status| {
                        status.endpoints = before.endpoints.clone();
                        status.attachments = before.attachments.clone();
                    });
                    return Err(error);
                }
            }
        } else {
            self.update(|status| status.attachments = Some(attached));
        }
        if let Some(endpoint) = before.endpoints.iter().find(|endpoint| endpoint.network_name == network) {
            self.engine.endpoint_event(endpoint, "disconnect");
        }
        Ok(())
    }

    /// Serves names to a container that an earlier daemon started, and opens its links. In turn with all that happens to
    /// the container: sockets of one that ended meanwhile would keep its network, and so its devices, for ever.
    pub(super) async fn resume(&mut self) -> Result<(), Error> {
        let now = self.status.borrow().clone();
        let attached = attachments::of(&self.container.spec, &now);
        let (engine, container) = (Arc::clone(&self.engine), Arc::clone(&self.container));
        let resumed = move || {
            engine.reopen_links(&container);
            if !now.state.is_running() || now.endpoints.iter().all(|endpoint| endpoint.names.is_empty()) {
                return Ok(());
            }
            name(&engine, &container, &now.endpoints, &attached, &HostResolvConf::default())
        };
        self.engine.blocking(resumed).await
    }

    /// Takes a link away.
    pub(super) fn unlink(&mut self, alias: &str) -> Result<(), Error> {
        if !self.status.borrow().links.iter().any(|link| link.alias == alias) {
            return Err(Error::NoSuchContainer(format!("/{}/{alias}", self.status.borrow().name)));
        }
        self.update(|status| status.links.retain(|link| link.alias != alias));
        Ok(())
    }

    fn tell(&self, network: &str, action: &str) {
        let status = self.status.borrow();
        if let Some(endpoint) = status.endpoints.iter().find(|endpoint| endpoint.network_name == network) {
            self.engine.endpoint_event(endpoint, action);
        }
    }
}

/// Attaches a running container to one more network; returns all its endpoints.
fn plug(
    engine: &Engine,
    container: &Container,
    pid: i32,
    mut endpoints: Vec<EndpointRecord>,
    wanted: &Attachments,
    network: &str,
) -> Result<Vec<EndpointRecord>, Error> {
    let (sandbox, made) = match endpoints.first() {
        Some(first) => (Sandbox { id: first.sandbox_id.clone(), key: first.sandbox_key.clone() }, false),
        None => (engine.network.adopt_sandbox(pid)?, true),
    };
    let request = wanted.get(network).cloned().unwrap_or_default();
    let attached = engine.network.attach(&sandbox, &start::attach_request(container, network, &request));
    let endpoint = match attached {
        Ok(endpoint) => endpoint,
        Err(error) => {
            if made {
                engine.network.remove_sandbox(&sandbox.key);
            }
            return Err(error.into());
        }
    };
    let before = endpoints.clone();
    let host = HostResolvConf::default();
    endpoints.push(endpoint.clone());
    let settled = settle(engine, container, &mut endpoints, wanted)
        .and_then(|()| name(engine, container, &endpoints, wanted, &host))
        .and_then(|()| write_names(engine, container, &endpoint, &endpoints, &host));
    if let Err(error) = settled {
        // Back to where it was: the way out first, since the new endpoint may have taken it.
        take_back(engine, container, endpoints, before, wanted, &endpoint);
        if made {
            engine.network.remove_sandbox(&sandbox.key);
        }
        return Err(error);
    }
    Ok(endpoints)
}

fn take_back(
    engine: &Engine,
    container: &Container,
    mut endpoints: Vec<EndpointRecord>,
    before: Vec<EndpointRecord>,
    wanted: &Attachments,
    endpoint: &EndpointRecord,
) {
    let log = |result: Result<(), Error>| {
        if let Err(error) = result {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(container = container.spec.id.as_str(), error, "a failed connect was not taken back whole");
        }
    };
    endpoints.retain(|other| other.endpoint_id != endpoint.endpoint_id);
    log(engine.network.disconnect(endpoint).map_err(Error::from));
    let mut wanted = wanted.clone();
    wanted.remove(&endpoint.network_name);
    log(settle(engine, container, &mut endpoints, &wanted));
    if before.is_empty() {
        engine.resolvers.close(&container.spec.id);
    }
    if let Some(link) = &endpoint.link {
        for address in link.ips() {
            log(name_files::remove_address(&engine.paths.hosts(&container.spec.id), address));
        }
    }
}

/// Takes a running container off a network; returns the endpoints that are left.
fn unplug(
    engine: &Engine,
    container: &Container,
    mut endpoints: Vec<EndpointRecord>,
    wanted: &Attachments,
    network: &str,
) -> Result<Vec<EndpointRecord>, Error> {
    let Some(at) = endpoints.iter().position(|endpoint| endpoint.network_name == network) else {
        return Ok(endpoints);
    };
    let endpoint = endpoints.remove(at);
    engine.network.disconnect(&endpoint)?;
    let id = &container.spec.id;
    if let Some(link) = &endpoint.link {
        let path = engine.paths.hosts(id);
        link.ips().try_for_each(|address| name_files::remove_address(&path, address))?;
    }
    if endpoints.is_empty() {
        // The namespace lives on with its processes; who connects it again finds it there.
        engine.network.remove_sandbox(&endpoint.sandbox_key);
    }
    settle(engine, container, &mut endpoints, wanted)?;
    let host = HostResolvConf::default();
    if endpoints.iter().any(|endpoint| !endpoint.names.is_empty()) {
        name(engine, container, &endpoints, wanted, &host)?;
    } else {
        engine.resolvers.close(id);
    }
    refresh_resolv_conf(engine, container, &endpoints, &host)?;
    Ok(endpoints)
}

/// Sees that the right network leads to the outside, with the published ports.
fn settle(
    engine: &Engine,
    container: &Container,
    endpoints: &mut [EndpointRecord],
    wanted: &Attachments,
) -> Result<(), Error> {
    let ordered = attachments::ordered(wanted, &container.spec.host.network_mode);
    let way = Way::of(engine, &ordered);
    let leads = |endpoint: &EndpointRecord| {
        way.leads_out(&endpoint.network_name) && !engine.network.is_internal(&endpoint.network_name)
    };
    if let Some(old) = endpoints.iter_mut().find(|endpoint| endpoint.is_gateway && !leads(endpoint)) {
        engine.network.stand_back(old)?;
    }
    if let Some(new) = endpoints.iter_mut().find(|endpoint| !endpoint.is_gateway && leads(endpoint)) {
        let ports = start::port_requests(&container.spec);
        engine.network.lead_out(new, &container.name(), &ports)?;
    }
    Ok(())
}

/// Opens the name server, or shows it what has changed.
fn name(
    engine: &Engine,
    container: &Container,
    endpoints: &[EndpointRecord],
    wanted: &Attachments,
    host: &HostResolvConf,
) -> Result<(), Error> {
    if !endpoints.iter().any(|endpoint| !endpoint.names.is_empty()) {
        return Ok(());
    }
    let ordered = attachments::ordered(wanted, &container.spec.host.network_mode);
    let (view, upstream) = engine.seen(&container.spec, endpoints, &ordered, host);
    if engine.resolvers.show(&container.spec.id, view, upstream) {
        return Ok(());
    }
    engine.open_resolver(container, endpoints, &ordered, host)
}

fn write_names(
    engine: &Engine,
    container: &Container,
    endpoint: &EndpointRecord,
    endpoints: &[EndpointRecord],
    host: &HostResolvConf,
) -> Result<(), Error> {
    let spec = container.current_spec();
    if let Some(link) = &endpoint.link {
        let path = engine.paths.hosts(&spec.id);
        let names = start::own_names(&spec);
        link.ips().try_for_each(|address| name_files::add_address(&path, address, &names))?;
    }
    refresh_resolv_conf(engine, container, endpoints, host)
}

/// The first network with names brings our server into `resolv.conf`, the last one takes it along.
fn refresh_resolv_conf(
    engine: &Engine,
    container: &Container,
    endpoints: &[EndpointRecord],
    host: &HostResolvConf,
) -> Result<(), Error> {
    let named = endpoints.iter().any(|endpoint| !endpoint.names.is_empty());
    start::refresh_resolv_conf(engine, &container.current_spec(), host, named, container.status().state.since())
}
