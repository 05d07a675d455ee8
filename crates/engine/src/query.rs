//! What the engine tells about containers: `list`, `inspect`, `top`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use network::EndpointRecord;
use store::Change;
use types::Digest;

use crate::attachments;
use crate::container::{Container, Status};
use crate::engine::Engine;
use crate::error::{Error, StateConflict};
use crate::filters::{ContainerFilter, Filters, Lookup};
use crate::model::{
    ContainerDetails, ContainerSpec, ContainerSummary, EndpointRequest, EndpointSettings, PortKey, ProcessList,
};
use crate::processes;
use crate::stale_binds;

type Networks = BTreeMap<String, EndpointSettings>;
type Ports = BTreeMap<PortKey, Vec<(String, u16)>>;

/// Which containers to list.
#[derive(Clone, Debug, Default)]
pub struct ListContainers {
    /// Stopped ones too.
    pub all: bool,
    /// Only the newest ones, stopped or not.
    pub limit: Option<usize>,
    /// With sizes.
    pub size: bool,
    /// Only those that match.
    pub filters: Filters,
}

// === impl Engine ===

impl Engine {
    /// Tells everything about a container.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`].
    pub async fn inspect(self: &Arc<Self>, name: &str, size: bool) -> Result<ContainerDetails, Error> {
        let container = self.containers.find(name)?;
        let engine = Arc::clone(self);
        self.blocking(move || engine.details(&container, size)).await
    }

    /// Processes of a running container in the columns that `ps` with these arguments prints.
    ///
    /// # Errors
    /// `Conflict` when it does not run; `InvalidParameter` for arguments that are not understood.
    pub async fn top(&self, name: &str, ps_args: &str) -> Result<ProcessList, Error> {
        let container = self.containers.find(name)?;
        if !container.status().state.is_running() {
            return Err(StateConflict::NotRunning(container.spec.id.to_string()).into());
        }
        let cgroup = self.cgroup(&container.spec)?;
        let ps_args = ps_args.to_owned();
        let list = self
            .blocking(move || {
                let pids = cgroup.pids().map_err(runtime::Error::Cgroup)?;
                processes::list(&pids, &ps_args)
            })
            .await?;
        self.container_event(&container, "top", &[]);
        Ok(list)
    }

    /// What a container has changed in its file system against its image, sorted by path.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`], or when its layer cannot be read.
    pub async fn changes(self: &Arc<Self>, name: &str) -> Result<Vec<Change>, Error> {
        let container = self.containers.find(name)?;
        let engine = Arc::clone(self);
        self.blocking(move || Ok(engine.store.changes(&container.spec.id)?)).await
    }

    /// Lists containers, newest first.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that is none.
    pub async fn list(self: &Arc<Self>, options: ListContainers) -> Result<Vec<ContainerSummary>, Error> {
        let filter = ContainerFilter::parse(&options.filters, &**self)?;
        let everything = options.all || options.limit.is_some() || filter.implies_all();
        let mut containers = self.containers.snapshot();
        containers.sort_by_key(|container| Reverse(container.spec.created));
        let mut given = self.given_names();
        let mut listed = Vec::new();
        for container in containers {
            let status = container.status();
            if status.removed || !(everything || status.state.is_running() || restarting(&status)) {
                continue;
            }
            let mut summary = self.summary(&container, status);
            summary.given_names = given.remove(&container.spec.id).unwrap_or_default();
            if filter.matches(&summary) {
                listed.push(summary);
            }
            if options.limit == Some(listed.len()) {
                break;
            }
        }
        if options.size {
            let engine = Arc::clone(self);
            return self.blocking(move || engine.measure(listed)).await;
        }
        Ok(listed)
    }

    fn measure(&self, mut listed: Vec<ContainerSummary>) -> Result<Vec<ContainerSummary>, Error> {
        for summary in &mut listed {
            summary.size = Some(self.sizes(&summary.spec)?);
        }
        Ok(listed)
    }

    fn summary(&self, container: &Container, status: Status) -> ContainerSummary {
        let spec = Arc::clone(&container.spec);
        let networks = self.networks_of(&spec, &status);
        let ports = ports_of(&spec, &status);
        let image = self.shown_image(&spec);
        ContainerSummary {
            spec,
            name: status.name,
            state: status.state,
            health: status.health,
            image,
            networks,
            ports,
            given_names: Vec::new(),
            size: None,
        }
    }

    /// The name the container was made with, or the id when that name now means another image.
    fn shown_image(&self, spec: &ContainerSpec) -> String {
        let Some(id) = spec.image else { return spec.config.image.clone() };
        match self.store.resolve(&spec.config.image) {
            Ok(now) if now.0 == id => spec.config.image.clone(),
            _ => id.to_string(),
        }
    }

    fn details(&self, container: &Container, size: bool) -> Result<ContainerDetails, Error> {
        let (spec, status) = (container.current_spec(), container.status());
        let shared = crate::start::joined_container(self, &spec);
        let owner = shared.as_ref().map_or(&spec.id, |other| &other.spec.id);
        let graph = self.store.graph_driver_data(&spec.id)?;
        let graph_driver = [
            ("LowerDir", graph.lower_dir),
            ("MergedDir", graph.merged_dir),
            ("UpperDir", graph.upper_dir),
            ("WorkDir", graph.work_dir),
        ];
        let endpoint = status.endpoints.first();
        // The other drivers' files are their own business.
        let log_path = if spec.host.log.driver == "json-file" { self.paths.log(&spec) } else { Default::default() };
        Ok(ContainerDetails {
            networks: self.networks_of(&spec, &status),
            ports: ports_of(&spec, &status),
            stale_binds: status.state.pid().map_or_else(Vec::new, |pid| stale_binds::find(pid, &spec.mounts)),
            exec_ids: if status.state.is_running() { self.execs.open_in(&spec.id) } else { Vec::new() },
            resolv_conf_path: self.paths.resolv_conf(owner),
            hostname_path: self.paths.hostname(owner),
            hosts_path: self.paths.hosts(owner),
            log_path,
            links: self.shown_links(&status),
            sandbox_key: endpoint.map(|endpoint| endpoint.sandbox_key.clone()).unwrap_or_default(),
            sandbox_id: endpoint.map(|endpoint| endpoint.sandbox_id.to_string()).unwrap_or_default(),
            graph_driver: graph_driver.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect(),
            size: if size { Some(self.sizes(&spec)?) } else { None },
            name: status.name,
            restart_count: status.restart_count,
            out_of_memory: status.state.is_running() && status.out_of_memory > 0,
            finished_at: status.finished_at,
            state: status.state,
            health: status.health,
            spec,
        })
    }

    /// Bytes in the writable layer, and in all layers.
    fn sizes(&self, spec: &ContainerSpec) -> Result<(u64, u64), Error> {
        let own = self.store.layer_size(&spec.id)?;
        let image = match spec.image {
            // An image that was removed by force is counted as nothing.
            Some(id) => self.store.image(&store::ImageId(id)).map_or(0, |image| image.size),
            None => 0,
        };
        Ok((own, own + image))
    }

    /// Networks by name: live, or as they will be at the next start.
    fn networks_of(&self, spec: &ContainerSpec, status: &Status) -> Networks {
        if spec.config.network_disabled {
            return Networks::new();
        }
        let shown = |(name, request): (String, EndpointRequest)| {
            let endpoint = status.endpoints.iter().find(|endpoint| endpoint.network_name == name);
            let mut settings = match endpoint {
                Some(endpoint) => live(endpoint),
                None => EndpointSettings { mac: request.mac.clone(), ..EndpointSettings::default() },
            };
            if let Some(id) = self.network.id_of(&name).filter(|_| settings.network_id.is_empty()) {
                settings.network_id = id.to_string();
            }
            settings.aliases.clone_from(&request.aliases);
            settings.request = request;
            (name, settings)
        };
        attachments::of(spec, status).into_iter().map(shown).collect()
    }
}

impl Lookup for Engine {
    type Error = Error;

    fn created(&self, container: &str) -> Result<Timestamp, Error> {
        Ok(self.containers.find(container)?.spec.created)
    }

    fn descendants(&self, image: &str) -> BTreeSet<Digest> {
        let Some(ancestor) = self.store.resolve(image).ok().and_then(|id| self.store.image(&id).ok()) else {
            return BTreeSet::new();
        };
        let built_on = |other: &store::Image| other.chain.starts_with(&ancestor.chain) && !ancestor.chain.is_empty();
        let images = self.store.images();
        let descendants = images.iter().filter(|other| other.id == ancestor.id || built_on(other));
        descendants.map(|image| image.id.0).collect()
    }
}

fn restarting(status: &Status) -> bool {
    matches!(status.state, crate::model::ContainerState::Restarting { .. })
}

fn live(endpoint: &EndpointRecord) -> EndpointSettings {
    let mut settings = EndpointSettings {
        network_id: endpoint.network_id.to_string(),
        endpoint_id: endpoint.endpoint_id.to_string(),
        ..EndpointSettings::default()
    };
    if let Some(link) = &endpoint.link {
        if let Some(own) = link.ipv4() {
            settings.ip = own.ip().to_string();
            settings.prefix_len = own.address.prefix_len();
            settings.gateway = own.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
        }
        settings.mac = link.mac.to_string();
        settings.ipv6 = link.ipv6().copied();
    }
    settings.dns_names.clone_from(&endpoint.names);
    settings
}

/// While running on networks of its own: exposed ports with an empty list and published ones with their addresses.
/// Otherwise nothing.
fn ports_of(spec: &ContainerSpec, status: &Status) -> Ports {
    let mut ports = Ports::new();
    if status.endpoints.iter().all(|endpoint| endpoint.link.is_none()) {
        return ports;
    }
    for key in &spec.config.exposed_ports {
        ports.entry(*key).or_default();
    }
    // On a routed network nothing of the host's leads to the container.
    let bound = status.endpoints.iter().flat_map(|endpoint| &endpoint.ports).filter(|binding| binding.host_port != 0);
    for binding in bound {
        let key = PortKey { port: binding.container_port, protocol: binding.protocol };
        ports.entry(key).or_default().push((binding.host_ip.to_string(), binding.host_port));
    }
    ports
}
