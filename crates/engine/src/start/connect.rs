//! The network of a container that starts: a namespace made and pinned, or one to join.

use std::path::PathBuf;
use std::sync::Arc;

use network::{AttachRequest, EndpointRecord, HostPort, PortRequest, Sandbox};

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Invalid};
use crate::model::{ContainerSpec, EndpointRequest, NetworkMode, PortKey};
use crate::undo::Undo;

/// Where the process finds its network.
pub(super) struct Connection {
    /// How the OCI specification names the namespace.
    pub namespace: NetworkNamespace,
    /// The place on a network, where the container has one of its own.
    pub endpoint: Option<EndpointRecord>,
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

/// Makes the connection; `undo` learns how to take it back.
pub(super) fn connect(engine: &Engine, container: &Container, undo: &mut Undo) -> Result<Connection, Error> {
    let spec = &container.spec;
    if spec.config.network_disabled {
        return Ok(alone(NetworkNamespace::New));
    }
    match &spec.host.network_mode {
        NetworkMode::None => Ok(alone(NetworkNamespace::New)),
        NetworkMode::Host => Ok(alone(NetworkNamespace::Host)),
        NetworkMode::Container(name) => join(engine, name),
        NetworkMode::Bridge => attach(engine, container, "bridge", undo),
        NetworkMode::Named(name) => match name.as_str() {
            "host" => Ok(alone(NetworkNamespace::Host)),
            "none" => Ok(alone(NetworkNamespace::New)),
            name => attach(engine, container, name, undo),
        },
    }
}

/// The container that `--network container:X` names.
pub(crate) fn joined_container(engine: &Engine, spec: &ContainerSpec) -> Option<Arc<Container>> {
    match &spec.host.network_mode {
        NetworkMode::Container(name) => engine.containers.find(name).ok(),
        _ => None,
    }
}

fn alone(namespace: NetworkNamespace) -> Connection {
    Connection { namespace, endpoint: None, shared_with: None }
}

fn join(engine: &Engine, name: &str) -> Result<Connection, Error> {
    let other = engine.containers.find(name)?;
    let pid = other.status().state.pid().ok_or_else(|| Invalid::JoinStopped(other.spec.id.to_string()))?;
    let namespace = match other.spec.host.network_mode {
        NetworkMode::Host => NetworkNamespace::Host,
        _ => NetworkNamespace::Join(PathBuf::from(format!("/proc/{pid}/ns/net"))),
    };
    Ok(Connection { namespace, endpoint: None, shared_with: Some(other) })
}

fn attach(engine: &Engine, container: &Container, name: &str, undo: &mut Undo) -> Result<Connection, Error> {
    let spec = &container.spec;
    let request = AttachRequest {
        container_id: spec.id.clone(),
        container_name: container.name(),
        network: name.to_owned(),
        mac: wanted(spec, name).and_then(|endpoint| endpoint.mac.parse().ok()),
        address: wanted(spec, name).and_then(|endpoint| endpoint.ipv4),
        ports: port_requests(spec),
    };
    let sandbox = engine.network.create_sandbox(&spec.id)?;
    undo.push({
        let (network, key) = (Arc::clone(&engine.network), sandbox.key.clone());
        move || {
            network.remove_sandbox(&key);
            Ok(())
        }
    });
    let endpoint = engine.network.attach(&sandbox, &request)?;
    undo.push({
        let (network, endpoint) = (Arc::clone(&engine.network), endpoint.clone());
        move || network.detach(&endpoint).map_err(Error::from)
    });
    let Sandbox { key, .. } = sandbox;
    Ok(Connection { namespace: NetworkNamespace::Join(key), endpoint: Some(endpoint), shared_with: None })
}

/// The request's settings for a network; the default bridge answers to two names.
fn wanted<'a>(spec: &'a ContainerSpec, name: &str) -> Option<&'a EndpointRequest> {
    let default = || spec.endpoints.get("default").filter(|_| name == "bridge");
    spec.endpoints.get(name).or_else(default)
}

fn port_requests(spec: &ContainerSpec) -> Vec<PortRequest> {
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
