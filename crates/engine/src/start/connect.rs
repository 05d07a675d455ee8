//! The network of a container that starts: a namespace made and pinned, or one to join.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use network::{AttachRequest, EndpointRecord, HostPort, PortRequest, Sandbox, Users};

use super::namespaces;
use super::observe::Observed;
use crate::attachments;
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Invalid};
use crate::model::{ContainerSpec, EndpointRequest, NamespaceMode, NetworkMode, PortKey};
use crate::networks::Way;
use crate::undo::Undo;

/// Where the process finds its network.
pub(super) struct Connection {
    /// How the OCI specification names the namespace.
    pub namespace: NetworkNamespace,
    /// It belongs to a user namespace that a container with mapped users has to live in, to have power over it.
    pub mapped: bool,
    /// The places on networks, where the container has its own, in the order of attachment.
    pub endpoints: Vec<EndpointRecord>,
    /// The container whose network, host name and name-resolution files are shared.
    pub shared_with: Option<Arc<Container>>,
}

/// Which network namespace.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NetworkNamespace {
    /// A new one that the runtime makes: loopback only.
    New,
    /// This one.
    Join(PathBuf),
    /// The host's.
    Host,
}

// === impl Connection ===

impl Connection {
    fn to(namespace: NetworkNamespace) -> Self {
        Self { namespace, mapped: false, endpoints: Vec::new(), shared_with: None }
    }
}

/// Makes the connection; `undo` learns how to take it back. Where users are mapped the network is theirs.
pub(super) fn connect(
    engine: &Engine,
    container: &Container,
    observed: &Observed,
    undo: &mut Undo,
) -> Result<Connection, Error> {
    let spec = &container.spec;
    if let NetworkMode::Container(name) = &spec.host.network_mode {
        return join(engine, name);
    }
    let attachments = attachments::of(spec, &container.status());
    let wanted = attachments::ordered(&attachments, &spec.host.network_mode);
    match wanted.first().map(|(name, _)| name.as_str()) {
        None => Ok(Connection::to(NetworkNamespace::New)),
        Some("host") => {
            let sandbox = engine.network.host_sandbox();
            alone(engine, container, &sandbox, "host", NetworkNamespace::Host)
        }
        Some("none") => {
            // The runtime makes the namespace, and nobody has to find it.
            let sandbox = Sandbox { key: PathBuf::new(), ..engine.network.host_sandbox() };
            alone(engine, container, &sandbox, "none", NetworkNamespace::New)
        }
        Some(_) => attach_all(engine, container, &wanted, observed, undo),
    }
}

/// The container that `--network container:X` names.
pub(crate) fn joined_container(engine: &Engine, spec: &ContainerSpec) -> Option<Arc<Container>> {
    match &spec.host.network_mode {
        NetworkMode::Container(name) => engine.containers.find(name).ok(),
        _ => None,
    }
}

/// A place on a network without links: nothing is made, and nothing is to be taken back.
fn alone(
    engine: &Engine,
    container: &Container,
    sandbox: &Sandbox,
    network: &str,
    namespace: NetworkNamespace,
) -> Result<Connection, Error> {
    let request = attach_request(container, network, &EndpointRequest::default());
    let endpoint = engine.network.attach(sandbox, &request)?;
    Ok(Connection { endpoints: vec![endpoint], ..Connection::to(namespace) })
}

fn join(engine: &Engine, name: &str) -> Result<Connection, Error> {
    let other = engine.containers.find(name)?;
    let pid = other.status().state.pid().ok_or_else(|| Invalid::JoinStopped(other.spec.id.to_string()))?;
    let namespace = match other.spec.host.network_mode {
        NetworkMode::Host => NetworkNamespace::Host,
        _ => NetworkNamespace::Join(PathBuf::from(format!("/proc/{pid}/ns/net"))),
    };
    // Like Docker: who shares a network shares its users.
    let mapped = engine.config.userns_remap.is_some() && other.spec.host.userns_mode != NamespaceMode::Host;
    Ok(Connection { mapped, shared_with: Some(other), ..Connection::to(namespace) })
}

fn attach_all(
    engine: &Engine,
    container: &Container,
    wanted: &[(String, EndpointRequest)],
    observed: &Observed,
    undo: &mut Undo,
) -> Result<Connection, Error> {
    let spec = &container.spec;
    for (name, request) in wanted {
        engine.check_endpoint(name, request)?;
    }
    let way = Way::of(engine, wanted);
    let sandbox = match (observed.remap, namespaces::shared_users(observed)) {
        (None, _) => engine.network.create_sandbox(&spec.id)?,
        (Some(_), Some(path)) => engine.network.create_owned_sandbox(&spec.id, Users::Of(&path))?,
        (Some(remap), None) => {
            let (uids, gids) = namespaces::id_map_texts(remap);
            engine.network.create_owned_sandbox(&spec.id, Users::New { uids: &uids, gids: &gids })?
        }
    };
    undo.push({
        let (network, key) = (Arc::clone(&engine.network), sandbox.key.clone());
        move || {
            network.remove_sandbox(&key);
            Ok(())
        }
    });
    let mut endpoints = Vec::with_capacity(wanted.len());
    for (name, request) in wanted {
        let mut request = attach_request(container, name, request);
        if way.leads_out(name) {
            request.is_gateway = true;
            request.ports = port_requests(spec);
        }
        let endpoint = engine.network.attach(&sandbox, &request)?;
        undo.push({
            let (network, endpoint) = (Arc::clone(&engine.network), endpoint.clone());
            move || network.detach(&endpoint).map_err(Error::from)
        });
        endpoints.push(endpoint);
    }
    if endpoints.iter().any(|endpoint| !endpoint.names.is_empty()) {
        engine.open_resolver(container, &endpoints, wanted, &observed.resolv_conf)?;
        let (resolvers, id) = (Arc::clone(&engine.resolvers), spec.id.clone());
        undo.push(move || {
            resolvers.close(&id);
            Ok(())
        });
    }
    let mapped = observed.remap.is_some();
    Ok(Connection { mapped, endpoints, ..Connection::to(NetworkNamespace::Join(sandbox.key)) })
}

/// What to ask the network room for; without ports, and not the way to the outside.
pub(crate) fn attach_request(container: &Container, network: &str, request: &EndpointRequest) -> AttachRequest {
    let (spec, name) = (&container.spec, container.name());
    AttachRequest {
        container_id: spec.id.clone(),
        network: network.to_owned(),
        // Both were checked when they were asked for.
        mac: request.mac.parse().ok(),
        addresses: [request.ipv4.map(IpAddr::V4), request.ipv6.map(IpAddr::V6)].into_iter().flatten().collect(),
        link_local: request.link_local.clone(),
        device: request.driver_opts.get(crate::networks::DEVICE_NAME).cloned(),
        names: attachments::names(spec, &name, request),
        is_gateway: false,
        exposed: spec.config.exposed_ports.iter().map(|key| (key.protocol, key.port)).collect(),
        options: request.driver_opts.clone(),
        ports: Vec::new(),
        container_name: name,
    }
}

/// The ports that a container publishes.
pub(crate) fn port_requests(spec: &ContainerSpec) -> Vec<PortRequest> {
    let mut requests = Vec::new();
    for (key, bindings) in &spec.host.port_bindings {
        let hosts = bindings.iter().map(|binding| {
            let host_port = match binding.host_ports {
                None | Some((0, _)) => HostPort::Random,
                Some((first, last)) if first == last => HostPort::Fixed(first),
                Some((first, last)) => HostPort::Range(first, last),
            };
            PortRequest { host_ip: binding.host_ip, ..port_request(*key, host_port) }
        });
        requests.extend(hosts);
        if bindings.is_empty() {
            requests.push(port_request(*key, HostPort::Random));
        }
    }
    if spec.host.publish_all_ports {
        let unbound = spec.config.exposed_ports.iter().filter(|key| !spec.host.port_bindings.contains_key(*key));
        requests.extend(unbound.map(|key| port_request(*key, HostPort::Random)));
    }
    requests
}

fn port_request(key: PortKey, host_port: HostPort) -> PortRequest {
    PortRequest { container_port: key.port, protocol: key.protocol, host_ip: None, host_port }
}
