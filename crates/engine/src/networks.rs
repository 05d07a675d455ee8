//! Networks, as clients see and change them.

use std::collections::BTreeMap;
use std::sync::Arc;

use network::{EndpointRecord, LinkRecord, MacAddress, NetworkInfo, NetworkRequest};
use types::{ContainerId, EndpointId};

use crate::attachments::{self, Candidate};
use crate::container::{Command, Container};
use crate::engine::Engine;
use crate::error::{Error, Invalid};
use crate::filters::{Filters, InvalidFilter, any, check_keys, label, labels_match, truth};
use crate::model::{ContainerSpec, EndpointRequest, EventKind, NetworkMode};
use crate::resolver::Upstream;
use crate::start::{self, HostResolvConf};

const KEYS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];
/// Endpoint option: what the device in the container is called.
pub(crate) const DEVICE_NAME: &str = "com.docker.network.endpoint.ifname";

/// A container on a network, while it runs.
#[derive(Clone, Debug)]
pub struct NetworkMember {
    /// The container.
    pub container: ContainerId,
    /// Its name without the slash.
    pub name: String,
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// Link and address; `None` on `host` and `none`.
    pub link: Option<LinkRecord>,
}

/// Which of a container's networks leads to the outside.
pub(crate) struct Way(Option<String>);

// === impl Engine ===

impl Engine {
    /// Lists networks.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn network_list(&self, filters: Filters) -> Result<Vec<NetworkInfo>, Error> {
        check_keys(&filters, &KEYS)?;
        let values = |key: &str| filters.get(key).map_or(&[][..], Vec::as_slice);
        let dangling = values("dangling").first().map(|value| truth("dangling", value)).transpose()?;
        if let Some(value) = values("type").iter().find(|value| !matches!(value.as_str(), "builtin" | "custom")) {
            return Err(InvalidFilter::Value { key: "type", value: value.clone() }.into());
        }
        let labels: Vec<_> = values("label").iter().map(|text| label(text)).collect();
        let mut networks = self.network.networks();
        networks.retain(|network| {
            any(values("driver"), |wanted| wanted == network.driver.as_str())
                && any(values("id"), |wanted| network.id.as_str().contains(wanted.as_str()))
                && any(values("name"), |wanted| network.name.contains(wanted.as_str()))
                && any(values("scope"), |wanted| wanted == "local")
                && any(values("type"), |wanted| (wanted == "builtin") == network.predefined)
                && labels_match(&labels, |key| network.labels.get(key).map(String::as_str))
        });
        if let Some(dangling) = dangling {
            let used = self.used_networks();
            networks.retain(|network| (!network.predefined && !used.contains(&network.id)) == dangling);
        }
        Ok(networks)
    }

    /// One network and who is on it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn network_inspect(&self, name: &str) -> Result<(NetworkInfo, Vec<NetworkMember>), Error> {
        let network = self.network.network(name)?;
        let members = self.members(&network);
        Ok((network, members))
    }

    /// Makes a network.
    ///
    /// # Errors
    /// `Conflict` for a name in use, `Forbidden` for a subnet in use, `NotFound` for a driver that is not there,
    /// `InvalidParameter` for settings that mean nothing.
    pub async fn network_create(self: &Arc<Self>, request: NetworkRequest) -> Result<NetworkInfo, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || {
            let network = engine.network.create_network(request)?;
            engine.network_event(&network, "create");
            Ok(network)
        })
        .await
    }

    /// Removes a network.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for a predefined one and for one that running containers are on.
    pub async fn network_remove(self: &Arc<Self>, name: &str) -> Result<(), Error> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        self.blocking(move || {
            let network = engine.network.network(&name)?;
            engine.remove_network(&network)
        })
        .await
    }

    /// Puts a container on a network, now when it runs, and at its later starts.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` when it is on that network, `InvalidParameter` for settings that contradict.
    pub async fn network_connect(&self, network: &str, container: &str, request: EndpointRequest) -> Result<(), Error> {
        let container = self.containers.find(container)?;
        let network = self.network.network(network)?.name;
        container.ask(|reply| Command::Connect(network, Box::new(request), reply)).await
    }

    /// Takes a container off a network.
    ///
    /// # Errors
    /// `NotFound`; when it is not on that network.
    pub async fn network_disconnect(&self, network: &str, container: &str, force: bool) -> Result<(), Error> {
        let container = match self.containers.find(container) {
            // What a container leaves goes with it: there is nothing to force.
            Err(Error::NoSuchContainer(name)) if force => return Err(Error::NoSuchEndpoint(name)),
            found => found?,
        };
        let network = match self.network.network(network) {
            Ok(found) => found.name,
            // A stopped container may be on a network that is gone.
            Err(error) => {
                let attachments = attachments::of(&container.spec, &container.status());
                if attachments.contains_key(network) { network.to_owned() } else { return Err(error.into()) }
            }
        };
        container.ask(|reply| Command::Disconnect(network, reply)).await
    }

    pub(crate) fn remove_network(&self, network: &NetworkInfo) -> Result<(), Error> {
        let removed = self.network.remove_network(network.id.as_str());
        removed.map_err(|error| self.with_members(network, error))?;
        self.network_event(network, "destroy");
        Ok(())
    }

    /// The refusal to remove a network, with who is on it.
    pub(crate) fn with_members(&self, network: &NetworkInfo, error: network::Error) -> network::Error {
        let network::Error::ActiveEndpoints { name, id, .. } = error else { return error };
        let short = |member: &NetworkMember| format!("name:\"{}\" id:\"{}\"", member.name, member.endpoint.short());
        let members: Vec<String> = self.members(network).iter().map(short).collect();
        let endpoints = if members.is_empty() { String::new() } else { format!(" ({})", members.join(", ")) };
        network::Error::ActiveEndpoints { name, id, endpoints }
    }

    pub(crate) fn members(&self, network: &NetworkInfo) -> Vec<NetworkMember> {
        let containers = self.containers.snapshot();
        let members = containers.iter().filter_map(|container| {
            let status = container.status();
            let endpoint = status.endpoints.into_iter().find(|endpoint| endpoint.network_id == network.id)?;
            Some(NetworkMember {
                container: container.spec.id.clone(),
                name: status.name,
                endpoint: endpoint.endpoint_id,
                link: endpoint.link,
            })
        });
        members.collect()
    }

    pub(crate) fn used_networks(&self) -> std::collections::HashSet<types::NetworkId> {
        let containers = self.containers.snapshot();
        containers
            .iter()
            .flat_map(|container| container.status().endpoints)
            .map(|endpoint| endpoint.network_id)
            .collect()
    }

    /// Checks what a container wants of a network, as far as the network exists.
    ///
    /// # Errors
    /// `InvalidParameter` in Docker's words.
    pub(crate) fn check_endpoint(&self, name: &str, request: &EndpointRequest) -> Result<(), Error> {
        if *request == EndpointRequest::default() {
            return Ok(());
        }
        if !request.mac.is_empty() && request.mac.parse::<MacAddress>().is_err() {
            return Err(Invalid::Mac(request.mac.clone()).into());
        }
        check_options(&request.driver_opts)?;
        if matches!(name, "bridge" | "host" | "none" | "default") {
            if !request.aliases.is_empty() {
                return Err(Invalid::AliasOnDefault.into());
            }
            if request.ipv4.is_some() || request.ipv6.is_some() {
                return Err(Invalid::AddressOnDefault.into());
            }
            return if request.links.is_empty() { Ok(()) } else { Err(Invalid::LinkOnDefault.into()) };
        }
        if request.ipv4.is_none() && request.ipv6.is_none() {
            return Ok(());
        }
        // One that does not exist is told at the start.
        let Ok(network) = self.network.network(name) else { return Ok(()) };
        if !network.fixed_subnet {
            return Err(Invalid::AddressWithoutSubnet.into());
        }
        let wanted = [request.ipv4.map(std::net::IpAddr::V4), request.ipv6.map(std::net::IpAddr::V6)];
        for address in wanted.into_iter().flatten() {
            if !network.pools.iter().any(|pool| pool.subnet.trunc().contains(&address)) {
                return Err(Invalid::AddressOutside(address).into());
            }
        }
        Ok(())
    }

    /// Opens the name server of a container.
    pub(crate) fn open_resolver(
        &self,
        container: &Container,
        endpoints: &[EndpointRecord],
        wanted: &[(String, EndpointRequest)],
        host: &HostResolvConf,
    ) -> Result<(), Error> {
        let Some(endpoint) = endpoints.first() else { return Ok(()) };
        let (spec, key) = (&container.spec, endpoint.sandbox_key.clone());
        let sockets = self.network.open_resolver(&key)?;
        let seen = self.seen(spec, endpoints, wanted, host);
        let served = self.resolvers.serve(&spec.id, &self.network, key, sockets, seen);
        served.map_err(Error::file("serve names to", spec.id.as_str()))
    }

    /// What a container's name server may tell, and whom it may ask.
    pub(crate) fn seen(
        &self,
        spec: &ContainerSpec,
        endpoints: &[EndpointRecord],
        wanted: &[(String, EndpointRequest)],
        host: &HostResolvConf,
    ) -> (network::View, Upstream) {
        let links = |endpoint: &EndpointRecord| {
            let request = wanted.iter().find(|(name, _)| *name == endpoint.network_name).map(|(_, request)| request);
            let links = request.map_or(&[][..], |request| request.links.as_slice());
            let pair = |link: &String| {
                let (name, alias) = attachments::link_words(link);
                // A link may name the container by its id.
                let name = self.containers.find(name).map_or(name.to_owned(), |other| other.name());
                (alias.to_owned(), name)
            };
            links.iter().map(pair).collect()
        };
        let own = &spec.host.dns;
        let servers = if own.is_empty() { &self.config.container.dns } else { own };
        let outside = endpoints.iter().any(|endpoint| !self.network.is_internal(&endpoint.network_name));
        let ndots = start::ndots_set(self, spec, host);
        (network::Network::view(endpoints, links), Upstream { servers: servers.clone(), outside, ndots })
    }

    /// Tells that something happened to a network.
    fn network_event(&self, network: &NetworkInfo, action: &str) {
        let attributes = BTreeMap::from([
            ("name".to_owned(), network.name.clone()),
            ("type".to_owned(), network.driver.as_str().to_owned()),
        ]);
        self.publish(EventKind::Network, action, network.id.as_str(), attributes);
    }

    /// Tells that a container came or went.
    pub(crate) fn endpoint_event(&self, endpoint: &EndpointRecord, action: &str) {
        let kind = self.network.driver_of(endpoint);
        let attributes = BTreeMap::from([
            ("container".to_owned(), endpoint.container_id.to_string()),
            ("name".to_owned(), endpoint.network_name.clone()),
            ("type".to_owned(), kind.as_str().to_owned()),
        ]);
        self.publish(EventKind::Network, action, endpoint.network_id.as_str(), attributes);
    }
}

// === impl Way ===

impl Way {
    /// Decides; one network alone needs no deciding.
    pub(crate) fn of(engine: &Engine, wanted: &[(String, EndpointRequest)]) -> Self {
        if let [(only, _)] = wanted {
            return Self(Some(only.clone()));
        }
        let candidates = wanted.iter().map(|(name, request)| Candidate {
            name,
            priority: request.gateway_priority,
            internal: engine.network.is_internal(name),
        });
        Self(attachments::way_out(candidates).map(str::to_owned))
    }

    /// Whether it is this network.
    pub(crate) fn leads_out(&self, network: &str) -> bool {
        self.0.as_deref() == Some(network)
    }
}

/// Options of Docker's own that mean nothing here are refused; others are labels for somebody else.
fn check_options(options: &BTreeMap<String, String>) -> Result<(), Error> {
    for (key, value) in options.iter().filter(|(key, _)| key.starts_with("com.docker.network.")) {
        let name = key == DEVICE_NAME;
        let fine = (1..=15).contains(&value.len())
            && !matches!(value.as_str(), "lo" | "." | "..")
            && value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'));
        match (name, fine) {
            (true, true) => {}
            (true, false) => return Err(Invalid::DeviceName(value.clone()).into()),
            (false, _) => return Err(Invalid::EndpointOption(key.clone()).into()),
        }
    }
    Ok(())
}

/// Whether containers in this mode have networks of their own to come and go.
pub(crate) fn check_mode(mode: &NetworkMode, attached: &attachments::Attachments, network: &str) -> Result<(), Error> {
    if network == "host" {
        return Err(Invalid::HostNetwork.into());
    }
    if matches!(mode, NetworkMode::Container(_)) || attached.contains_key("host") {
        return Err(Invalid::SharedNetwork.into());
    }
    let alone = network == "none" && !attached.is_empty();
    if alone || attached.contains_key("none") { Err(Invalid::NoneNetwork.into()) } else { Ok(()) }
}
