//! `create`: from a request and an image to a container on disk.
//!
//! [`plan`] decides everything from data; this file carries the plan out and undoes it when a step fails.

mod endpoints;
mod mounts;
mod plan;
mod validate;

use std::sync::Arc;

use jiff::Timestamp;
use types::{ContainerId, Platform};

use crate::container::Status;
use crate::engine::Engine;
use crate::error::{Error, Invalid};
use crate::model::{ContainerSpec, CreateContainer, MountPoint, MountedImage, NetworkMode};
use crate::records;
use crate::undo::Undo;
use crate::{names, paths, random};

use mounts::MountPlan;

/// What `create` tells the client.
#[derive(Clone, Debug)]
pub struct Created {
    /// The new container.
    pub id: ContainerId,
    /// What the client should know though nothing failed.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Creates a container; it has its layer, its volumes and its record, and no process.
    ///
    /// # Errors
    /// `NotFound` for an unknown image or a container named in the request, `Conflict` for a name in use,
    /// `InvalidParameter` for contradicting settings. Nothing is left behind on failure.
    pub async fn create(self: &Arc<Self>, request: CreateContainer) -> Result<Created, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || engine.create_blocking(request)).await
    }

    fn create_blocking(self: Arc<Self>, mut request: CreateContainer) -> Result<Created, Error> {
        let image = if request.config.image.is_empty() {
            return Err(plan::no_image());
        } else {
            self.store.image(&self.store.resolve(&request.config.image)?)?
        };
        if let Some(platform) = request.platform.as_ref().filter(|platform| !image.config.is_for(platform)) {
            let (actual, platform) = (image.config.platform().to_string(), platform.to_string());
            return Err(store::Error::OtherPlatform { image: request.config.image, actual, platform }.into());
        }
        let id = ContainerId::from_bytes(random::bytes());
        let defaults = plan::Defaults::observe(&self.config, &self.live());
        let name = request.name.as_deref().map(names::validate).transpose()?;
        let (endpoints, platform) = (self.plan_endpoints(&request)?, request.platform.clone());
        let build_step = request.build_step;
        let links = self.resolve_links(&request.host)?;
        self.take_joined_names(&mut request)?;
        let planned = plan::plan(request, &image.config, &id, &defaults)?;
        let mounts = mounts::plan(&planned.config, &planned.host, |name| self.mounts_of(name))?;
        mounts::spare_data_root(&mounts, &self.config.data_root)?;

        let mut undo = Undo::default();
        let name = self.reserve_name(name, &id, &mut undo)?;
        let limit = validate::layer_limit(&planned.host)?;
        self.store.create_limited_layer(&id, Some(image.id), limit)?;
        undo.push({
            let (store, id) = (self.store.clone(), id.clone());
            move || store.remove_layer(&id).map_err(Error::from)
        });
        let mut warnings = planned.warnings;
        let mut mounts = self.make_volumes(&id, mounts, &mut undo, &mut warnings)?;
        self.pin_images(&id, &mut mounts)?;
        let spec = Arc::new(ContainerSpec {
            id: id.clone(),
            created: Timestamp::now(),
            image: Some(image.id.0),
            path: planned.path,
            args: planned.args,
            config: planned.config,
            host: planned.host,
            endpoints,
            mounts,
            driver: self.store.driver_name().to_owned(),
            platform: platform.unwrap_or_else(|| image_platform(&image.config)),
            build_step,
        });
        let status = Status { links, ..Status::created(name) };
        self.write_records(&spec, &status, &mut undo)?;
        let container = self.adopt(spec, status, None);
        undo.disarm();
        self.container_event(&container, "create", &[]);
        Ok(Created { id, warnings })
    }

    /// Whoever shares another container's network has its host name as well, since the name's files and addresses are
    /// that one's.
    fn take_joined_names(&self, request: &mut CreateContainer) -> Result<(), Error> {
        let NetworkMode::Container(name) = &request.host.network_mode else { return Ok(()) };
        if !request.config.hostname.is_empty() {
            return Err(Invalid::Conflict("hostname and the network mode").into());
        }
        // One that is not there is told at the start.
        if let Ok(other) = self.containers.find(name) {
            request.config.hostname.clone_from(&other.spec.config.hostname);
            request.config.domainname.clone_from(&other.spec.config.domainname);
        }
        Ok(())
    }

    /// Writes the container's directory. The rename is what makes the container exist: a daemon killed before it leaves
    /// a draft that the next one sweeps, never a directory with half of the records.
    fn write_records(&self, spec: &ContainerSpec, status: &Status, undo: &mut Undo) -> Result<(), Error> {
        let (draft, directory) = (self.paths.draft(&spec.id), self.paths.container(&spec.id));
        std::fs::create_dir(&draft).map_err(Error::file("create", &draft))?;
        let written = records::write(&draft.join(paths::SPEC), spec)
            .and_then(|()| records::write(&draft.join(paths::STATE), status))
            .and_then(|()| std::fs::rename(&draft, &directory).map_err(Error::file("name", &directory)));
        if written.is_err() {
            let _ = std::fs::remove_dir_all(&draft);
        } else {
            undo.push(move || std::fs::remove_dir_all(&directory).map_err(Error::file("remove", &directory)));
        }
        written
    }

    fn reserve_name(
        self: &Arc<Self>,
        wanted: Option<String>,
        id: &ContainerId,
        undo: &mut Undo,
    ) -> Result<String, Error> {
        let name = match wanted {
            Some(name) => {
                self.containers.reserve(&name, id)?;
                name
            }
            None => self.invent_name(id),
        };
        let (engine, reserved, id) = (Arc::clone(self), name.clone(), id.clone());
        undo.push(move || {
            engine.containers.release(&reserved, &id);
            Ok(())
        });
        Ok(name)
    }

    fn invent_name(&self, id: &ContainerId) -> String {
        for attempt in 0..10 {
            let [low, high, ..] = random::bytes();
            let name = names::invent(u16::from_le_bytes([low, high]), attempt);
            if self.containers.reserve(&name, id).is_ok() {
                return name;
            }
        }
        // Docker falls back to the id as well; it cannot be taken.
        let name = id.short().to_owned();
        match self.containers.reserve(&name, id) {
            Ok(()) => name,
            Err(_) => id.as_str().to_owned(),
        }
    }

    /// Mount points of another container, for `--volumes-from`.
    fn mounts_of(&self, name: &str) -> Result<Vec<MountPoint>, Error> {
        // Not of the class "not found": clients would take it for the image and pull that.
        let found = self.containers.find(name).map_err(|_| Invalid::VolumesFrom(name.to_owned()))?;
        let spec = &found.spec;
        // What `--tmpfs` mounts is nobody else's.
        let given = spec.mounts.iter().filter(|point| !spec.host.tmpfs.contains_key(&point.destination));
        Ok(given.cloned().collect())
    }

    /// Creates the volumes that the plan names and copies image content up into the empty ones.
    fn make_volumes(
        &self,
        id: &ContainerId,
        plans: Vec<MountPlan>,
        undo: &mut Undo,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<MountPoint>, Error> {
        let mut points = Vec::with_capacity(plans.len());
        for plan in plans {
            let mut point = plan.point;
            if point.kind == "volume" {
                if point.name.is_empty() {
                    point.name = store::random_volume_name();
                }
                let request = store::VolumeRequest {
                    name: point.name.clone(),
                    anonymous: point.anonymous,
                    labels: plan.labels,
                    driver: plan.driver,
                    options: plan.driver_options,
                };
                let volume = self.make_volume(id, request, undo)?;
                if point.copy_up {
                    self.store.copy_up(id, &point.destination, &volume.name, &point.subpath)?;
                }
                point.source = volume.mountpoint.display().to_string();
                if volume.driver != "local" {
                    // Labels of SELinux are for what is on this machine.
                    point.mode.clear();
                }
                point.driver = volume.driver;
            } else if plan.create_source {
                let made = create_bind_source(&point.source)?;
                if made && crate::start::image_has_file(&self.store.rootfs(id)?, &point.destination) {
                    warnings.push(format!(
                        "{} was not on the host and was made as a directory, but {} is a file in the image",
                        point.source, point.destination
                    ));
                }
            }
            points.push(point);
        }
        Ok(points)
    }

    /// Refers to a volume, and makes it when it is not there.
    fn make_volume(
        &self,
        id: &ContainerId,
        request: store::VolumeRequest,
        undo: &mut Undo,
    ) -> Result<store::Volume, Error> {
        let name = request.name.clone();
        self.volume_references.hold(&name, id);
        let made = self.store.make_volume(request);
        let (references, store, id) = (Arc::clone(&self.volume_references), self.store.clone(), id.clone());
        let made_by_us = made.as_ref().is_ok_and(|made| made.is_made);
        undo.push(move || {
            references.release(&name, &id);
            match references.close(&name) {
                Ok(_closed) if made_by_us => Ok(store.remove_volume(&name, true)?),
                // Others have begun to use it.
                _ => Ok(()),
            }
        });
        let made = made?;
        if made.is_new {
            self.volume_event(&made.volume.name, &made.volume.driver, "create");
        }
        Ok(made.volume)
    }

    /// Finds the images that are mounted, and keeps their layers for as long as the container is there.
    fn pin_images(&self, id: &ContainerId, points: &mut [MountPoint]) -> Result<(), Error> {
        let mut points: Vec<&mut MountPoint> = points.iter_mut().filter(|point| point.kind == "image").collect();
        if points.is_empty() {
            return Ok(());
        }
        // What another container mounts stays what it is, whatever its name means now.
        for point in points.iter_mut().filter(|point| point.image.is_none()) {
            let image = self.store.image(&self.store.resolve(&point.name)?)?;
            point.image = Some(MountedImage { id: image.id.0, top: image.top().map(|chain| chain.0) });
            point.source = image.id.to_string();
        }
        let tops: Vec<_> = points.iter().filter_map(|point| point.image?.top).map(store::ChainId).collect();
        Ok(self.store.pin_layers(id, &tops)?)
    }
}

/// Docker makes a missing bind source a directory; like Docker, that directory stays when create fails later. Returns
/// whether it was missing.
fn create_bind_source(source: &str) -> Result<bool, Error> {
    match std::fs::metadata(source) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        // What else is wrong is told by the mount.
        _ => return Ok(false),
    }
    match std::fs::create_dir_all(source) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        result => result.map(|()| true).map_err(Error::file("create bind source", source)),
    }
}

fn image_platform(config: &store::ImageConfig) -> Platform {
    Platform { os: config.os.clone(), architecture: config.architecture.clone(), variant: config.variant.clone() }
}
