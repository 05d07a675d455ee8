//! The worker of a build: it lives on the build's own thread, which may wait.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use build::solve::{Base, Event, Record, RunStep, Sources, Target, Worker};
use store::assemble::{Attributes, place};
use store::{Image, ImageId, Lease};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use transfer::Credentials;
use types::{ContainerId, Platform, Reference};

use super::context::Context;
use super::files::Found;
use super::images::{self, Cache};
use super::{BuildEvent, convert, run};
use crate::engine::Engine;
use crate::error::Error;
use crate::images::ImageProgress;
use crate::model::{NetworkMode, Resources};
use crate::random;

/// How a build's steps are carried out.
pub(super) struct Settings {
    pub(super) platform: Option<Platform>,
    pub(super) no_cache: bool,
    pub(super) pull: bool,
    pub(super) remove: bool,
    pub(super) force_remove: bool,
    pub(super) cache_from: Vec<String>,
    pub(super) network: NetworkMode,
    pub(super) extra_hosts: Vec<String>,
    pub(super) shm_size: u64,
    pub(super) resources: Resources,
    pub(super) cgroup_parent: String,
    pub(super) credentials: BTreeMap<String, Credentials>,
}

/// Carries out the steps of one build.
pub(super) struct EngineWorker {
    pub(super) engine: Arc<Engine>,
    runtime: Handle,
    pub(super) settings: Settings,
    pub(super) context: Context,
    pub(super) sender: mpsc::Sender<Result<BuildEvent, Error>>,
    /// Keeps the layers of steps until there is an image of them, and those of bases.
    pub(super) lease: Lease,
    cache: Cache,
}

impl EngineWorker {
    pub(super) fn new(
        engine: Arc<Engine>,
        runtime: Handle,
        settings: Settings,
        context: Context,
        sender: mpsc::Sender<Result<BuildEvent, Error>>,
    ) -> Self {
        // One that is not here is no source.
        let found = || settings.cache_from.iter().filter_map(|name| engine.find_image(name).ok()).collect();
        let sources = (!settings.cache_from.is_empty()).then(found);
        let lease = engine.store.lease();
        Self { engine, runtime, settings, context, sender, lease, cache: Cache { sources } }
    }

    /// Waits for asynchronous work; only on the build's thread.
    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Whoever wanted the build has left.
    pub(super) fn cancelled(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) fn send(&self, event: BuildEvent) {
        // A client that left is noticed before the next step.
        let _ = self.sender.blocking_send(Ok(event));
    }

    fn find_base(&self, name: &str, platform: Option<&Platform>) -> Result<Arc<Image>, Error> {
        match self.engine.find_image_for(name, platform) {
            Ok(image) if !self.settings.pull => return Ok(image),
            Ok(_) | Err(store::Error::NoSuchImage(_) | store::Error::OtherPlatform { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let reference = name.parse::<Reference>()?.with_default_tag();
        self.block_on(self.pull(&reference, platform))?;
        Ok(self.engine.find_image_for(&reference.familiar(), platform)?)
    }

    async fn pull(&self, reference: &Reference, platform: Option<&Platform>) -> Result<(), Error> {
        let credentials = credentials_for(&self.settings.credentials, reference.domain());
        let mut steps = self.engine.image_pull(reference.clone(), platform.cloned(), credentials);
        loop {
            let step = tokio::select! {
                step = steps.recv() => step,
                () = self.sender.closed() => return Err(Error::ShuttingDown),
            };
            match step {
                None => return Ok(()),
                Some(Err(error)) => return Err(error),
                Some(Ok(ImageProgress::Pull(step))) => drop(self.sender.send(Ok(BuildEvent::Pull(step))).await),
                Some(Ok(_)) => {}
            }
        }
    }

    /// Keeps the layers of an image for the time of the build.
    fn hold(&self, image: &Image) -> Result<(), Error> {
        for chain in &image.chain {
            let layer = self.engine.store.layer(&self.lease, chain);
            layer.ok_or_else(|| store::Error::NoSuchLayer(chain.to_string()))?;
        }
        Ok(())
    }

    /// The topmost layer of an image.
    pub(super) fn top(&self, image: Option<&ImageId>) -> Result<Option<store::ChainId>, Error> {
        Ok(image.map(|image| self.engine.store.image(image)).transpose()?.and_then(|image| image.top()))
    }

    /// A layer with a directory; `None` when it is there already.
    fn directory_layer(&self, parent: Option<&ImageId>, path: &str) -> Result<Option<store::Layer>, Error> {
        let top = self.top(parent)?;
        let made = self.engine.store.with_image(top, |root| {
            let place = place::find(root, path.as_ref())?;
            if place.is_directory {
                return Ok(None);
            }
            if place.exists {
                return Err(place::in_the_way("mkdir", &place.path));
            }
            let layer = self.engine.store.write_layer(&self.lease, top, |layer| {
                let mut directories = place.missing.iter().chain([&place.path]);
                directories.try_for_each(|path| layer.directory(path, new_directory((0, 0))))
            });
            layer.map(Some)
        })?;
        Ok(made?)
    }

    /// The container that stands for a step without a process: a real one only where it is to stay.
    fn begin_container(&self, record: &Record<'_, ImageId>) -> Result<ContainerId, Error> {
        let id = match record.parent {
            Some(image) if !self.settings.remove => {
                let request = run::placeholder(&self.settings, record, image);
                self.block_on(self.engine.create(request))?.id
            }
            _ => ContainerId::from_bytes(random::bytes()),
        };
        self.send(BuildEvent::Step(Event::Running(id.to_string())));
        Ok(id)
    }

    fn end_container(&self, id: &ContainerId) {
        if self.settings.remove {
            self.send(BuildEvent::Step(Event::Removing(id.to_string())));
        }
    }
}

impl Worker for EngineWorker {
    type Image = ImageId;
    type Found = Found;
    type Error = Error;

    fn tell(&mut self, event: Event) {
        self.send(BuildEvent::Step(event));
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled()
    }

    fn base(&mut self, name: &str, platform: Option<&str>) -> Result<Base<ImageId>, Error> {
        let platform = match platform {
            None => self.settings.platform.clone(),
            Some(text) => {
                let invalid = || Error::BuildRequest(format!("failed to parse platform {text}"));
                Some(Platform::parse(text).ok_or_else(invalid)?)
            }
        };
        let image = self.find_base(name, platform.as_ref())?;
        self.hold(&image)?;
        Ok(Base { image: image.id, config: convert::to_builder(&image.config.config) })
    }

    fn cached(&mut self, record: &Record<'_, ImageId>) -> Result<Option<ImageId>, Error> {
        if self.settings.no_cache {
            return Ok(None);
        }
        let Some(image) = self.cache.find(&self.engine, &self.lease, record)? else { return Ok(None) };
        self.engine.store.use_image(&image);
        self.hold(&*self.engine.store.image(&image)?)?;
        Ok(Some(image))
    }

    fn configure(&mut self, record: &Record<'_, ImageId>, directory: Option<&str>) -> Result<ImageId, Error> {
        let container = self.begin_container(record)?;
        let layer = match directory {
            Some(path) => self.directory_layer(record.parent, path)?,
            None => None,
        };
        let image = images::commit(&self.engine, &self.lease, record, &container, layer.as_ref())?;
        self.end_container(&container);
        Ok(image)
    }

    fn find(&mut self, sources: &Sources<ImageId>) -> Result<(String, Found), Error> {
        self.find_files(sources)
    }

    fn count(&self, found: &Found) -> usize {
        found.count()
    }

    fn copy(&mut self, record: &Record<'_, ImageId>, found: Found, target: &Target) -> Result<ImageId, Error> {
        let layer = self.copy_files(record.parent, &found, target)?;
        let container = ContainerId::from_bytes(random::bytes());
        images::commit(&self.engine, &self.lease, record, &container, Some(&layer))
    }

    fn run(&mut self, record: &Record<'_, ImageId>, step: &RunStep) -> Result<Result<ImageId, i32>, Error> {
        self.run_step(record, step)
    }
}

/// What Docker gives to directories that it makes on the way.
pub(super) fn new_directory(owner: (u32, u32)) -> Attributes {
    let modified = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    Attributes { mode: 0o755, owner, modified }
}

/// The credentials for a registry, by the names that clients use for it.
fn credentials_for(all: &BTreeMap<String, Credentials>, domain: &str) -> Option<Credentials> {
    let bare = |name: &str| {
        let name = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
        name.split('/').next().unwrap_or_default().to_owned()
    };
    let hub = ["docker.io", "index.docker.io", "registry-1.docker.io"];
    let same = |name: &str| name == domain || (hub.contains(&domain) && hub.contains(&name));
    all.iter().find(|(name, _)| same(&bare(name))).map(|(_, credentials)| credentials.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_found_by_the_names_clients_use() {
        let hub = Credentials::RegistryToken("hub".to_owned());
        let own = Credentials::RegistryToken("own".to_owned());
        let all = BTreeMap::from([
            ("https://index.docker.io/v1/".to_owned(), hub.clone()),
            ("127.0.0.1:5000".to_owned(), own.clone()),
        ]);
        assert_eq!(credentials_for(&all, "docker.io"), Some(hub));
        assert_eq!(credentials_for(&all, "127.0.0.1:5000"), Some(own));
        assert_eq!(credentials_for(&all, "other"), None);
    }
}
