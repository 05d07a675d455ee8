//! The engine: the rooms it composes and what belongs to no single container.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use network::{EndpointRecord, Network};
use runtime::cgroup::Cgroup;
use store::{Store, StoreConfig};
use tokio::sync::Notify;

use crate::config::{EngineConfig, LiveConfig};
use crate::error::Error;
use crate::events::Bus;
use crate::exec::ExecTable;
use crate::gc;
use crate::images::Pulls;
use crate::links::LinkTable;
use crate::model::ContainerSpec;
use crate::model::MountPoint;
use crate::monitors::Monitors;
use crate::paths::Paths;
use crate::recover;
use crate::registry::Registry;
use crate::resolver::Resolvers;
use crate::start::{self, Filters};
use crate::volume_references::VolumeReferences;

/// Cgroup that holds the containers which name no other parent.
const CGROUP_PARENT: &str = "/gantry";

/// One engine: one data root, one exec root, one default bridge.
pub struct Engine {
    /// As told at the start.
    pub config: Arc<EngineConfig>,
    /// Changed by `reload` only.
    pub(crate) live: ArcSwap<LiveConfig>,
    /// Set once, when the daemon takes its containers along.
    pub(crate) ending: AtomicBool,
    pub(crate) paths: Paths,
    /// Images, layers, volumes.
    pub store: Store,
    /// Networks.
    pub network: Arc<Network>,
    /// What happens.
    pub events: Bus,
    pub(crate) containers: Registry,
    pub(crate) execs: ExecTable,
    pub(crate) filters: Filters,
    pub(crate) pulls: Pulls,
    /// Which mirrors of registries do not answer.
    pub(crate) mirror_health: Arc<transfer::MirrorHealth>,
    /// Name servers of containers on users' networks.
    pub(crate) resolvers: Arc<Resolvers>,
    /// Who links to whom.
    pub(crate) links: LinkTable,
    /// Who refers to which volume.
    pub(crate) volume_references: Arc<VolumeReferences>,
    /// Held by whoever has containers frozen for the sake of a volume.
    pub(crate) still: tokio::sync::Mutex<()>,
    pub(crate) monitors: Monitors,
    /// Told when the budget of images may have changed.
    pub(crate) gc_changed: Arc<Notify>,
}

// === impl Engine ===

impl Engine {
    /// Opens the rooms and takes over the containers that an earlier daemon left running or stopped.
    ///
    /// Must be called inside a tokio runtime: every container gets its task.
    ///
    /// # Errors
    /// When a root cannot be used or a room cannot be opened.
    pub async fn open(config: EngineConfig) -> Result<Arc<Self>, Error> {
        let opened = tokio::task::spawn_blocking(move || open_rooms(config));
        let (engine, found) = opened.await.map_err(|_| Error::ShuttingDown)??;
        recover::adopt_all(&engine, found);
        gc::begin(&engine);
        Ok(engine)
    }

    /// Runs synchronous work of the rooms on a thread that may wait.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::ShuttingDown)?
    }

    /// The control group of a container, as the monitor made it.
    pub(crate) fn cgroup(&self, spec: &ContainerSpec) -> Result<Cgroup, Error> {
        Cgroup::open(cgroup_path(spec)).map_err(|error| Error::Runtime(runtime::Error::Cgroup(error)))
    }

    /// Takes back what belonged to a run, but for its run directory. Every step is tried; failures are logged, since the run is over anyway.
    pub(crate) fn release_run(&self, spec: &ContainerSpec, endpoints: &[EndpointRecord]) {
        let log = |what: &str, result: Result<(), Error>| {
            if let Err(error) = result {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(container = spec.id.as_str(), what, error, "not released");
            }
        };
        if endpoints.iter().any(|endpoint| !endpoint.names.is_empty()) {
            self.resolvers.close(&spec.id);
        }
        for endpoint in endpoints {
            log("endpoint", self.network.detach(endpoint).map_err(Error::from));
        }
        if let Some(endpoint) = endpoints.first() {
            self.network.remove_sandbox(&endpoint.sandbox_key);
        }
        if matches!(spec.host.ipc_mode, crate::model::NamespaceMode::Shareable) {
            log("shared memory", start::release_shared_memory(&self.paths.shared_memory(&spec.id)));
        }
        for point in spec.mounts.iter().filter(|point| point.kind == "volume") {
            log("volume", self.store.release_volume(&point.name, spec.id.as_str()).map_err(Error::from));
        }
    }

    /// Deletes a stopped container's files: layer, anonymous volumes if asked, records, log.
    pub(crate) fn remove_files(&self, spec: &ContainerSpec, volumes: bool) -> Result<(), Error> {
        match self.store.remove_layer(&spec.id) {
            // Gone already: an earlier removal got this far.
            Ok(()) | Err(store::Error::NoSuchContainerLayer(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let own = |point: &&MountPoint| point.kind == "volume";
        for point in spec.mounts.iter().filter(own) {
            self.volume_references.release(&point.name, &spec.id);
            let removed = if volumes && point.anonymous { self.remove_unreferenced(&point.name) } else { Ok(()) };
            if let Err(error) = removed {
                // It stays, and so do its volumes.
                spec.mounts.iter().filter(own).for_each(|point| self.volume_references.hold(&point.name, &spec.id));
                return Err(error);
            }
        }
        Ok(self.store.remove_later(&self.paths.container(&spec.id))?)
    }
}

/// Where the container's control group is, below every hierarchy's mount point.
pub(crate) fn cgroup_path(spec: &ContainerSpec) -> PathBuf {
    let parent = if spec.host.cgroup_parent.is_empty() { CGROUP_PARENT } else { &spec.host.cgroup_parent };
    PathBuf::from("/").join(parent).join(spec.id.as_str())
}

fn open_rooms(config: EngineConfig) -> Result<(Arc<Engine>, Vec<recover::Found>), Error> {
    let paths = Paths::new(&config.data_root, &config.exec_root);
    let store = Store::open(StoreConfig { data_root: config.data_root.clone(), driver: config.driver })?;
    for directory in [paths.containers(), paths.runs()] {
        std::fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
    }
    let found = recover::observe(&paths)?;
    let endpoints: Vec<EndpointRecord> = found.iter().flat_map(recover::Found::live_endpoints).collect();
    let network = Arc::new(Network::open(config.network.clone(), &endpoints)?);
    network.watch()?;
    let engine = Engine {
        paths,
        store,
        network,
        events: Bus::default(),
        containers: Registry::default(),
        execs: ExecTable::default(),
        filters: Filters::new(config.container.seccomp_profile.clone()),
        pulls: Pulls::default(),
        mirror_health: Arc::default(),
        resolvers: Arc::default(),
        links: LinkTable::default(),
        volume_references: Arc::default(),
        still: tokio::sync::Mutex::default(),
        live: ArcSwap::from_pointee(config.live.clone()),
        ending: AtomicBool::new(false),
        monitors: Monitors::new(&config.monitor, config.descriptors),
        gc_changed: Arc::default(),
        config: Arc::new(config),
    };
    Ok((Arc::new(engine), found))
}
