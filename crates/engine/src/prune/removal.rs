//! What `rm`, `rmi`, `volume rm` and `network rm` would do.

use std::collections::HashSet;
use std::sync::Arc;

use store::RemoveImage;
use types::{ContainerId, Kind as _};

use super::images::ImagePlan;
use super::plan::{container, network, volume};
use super::{Kept, Removals, Thing, ThingKind};
use crate::engine::Engine;
use crate::error::{Error, chain};

/// Things to remove by name.
#[derive(Clone, Debug)]
pub struct RemovalRequest {
    /// What kind.
    pub kind: ThingKind,
    /// Names or ids, as given.
    pub names: Vec<String>,
    /// As the kind's own operation takes it.
    pub force: bool,
    /// Containers: their anonymous volumes too.
    pub volumes: bool,
    /// Images: parents without a name stay.
    pub keep_parents: bool,
}

impl Engine {
    /// What would go, name after name, and what would be refused in the same words; removes nothing.
    ///
    /// # Errors
    /// When the daemon is shutting down.
    pub async fn removal_plan(self: &Arc<Self>, request: RemovalRequest) -> Result<Removals, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || {
            Ok(match request.kind {
                ThingKind::Container => engine.containers_by_name(&request),
                ThingKind::Image => {
                    let gone = HashSet::new();
                    let mut plan = ImagePlan::new(&engine, &gone);
                    let prune_children = !request.keep_parents;
                    let options = RemoveImage { force: request.force, prune_children, nameless: false, only: None };
                    request.names.iter().for_each(|name| plan.remove(name, options));
                    plan.plan()
                }
                kind => engine.others_by_name(kind, &request),
            })
        })
        .await
    }

    fn containers_by_name(&self, request: &RemovalRequest) -> Removals {
        let (mut plan, mut gone) = (Removals::default(), Vec::new());
        for name in &request.names {
            let found = self.containers.find(name).and_then(|found| {
                if !request.force {
                    found.status().check_removable()?;
                }
                Ok(found)
            });
            match found {
                Ok(found) if gone.iter().any(|(id, _)| *id == found.spec.id) => {}
                Ok(found) => {
                    let bytes = self.store.layer_size(&found.spec.id).ok();
                    plan.things.push(Thing { bytes, ..container(&found.spec.id, &found.name()) });
                    gone.push((found.spec.id.clone(), Arc::clone(&found.spec)));
                }
                Err(error) => plan.kept.push(refusal(ThingKind::Container, name, &error)),
            }
        }
        if request.volumes {
            let mounts = gone.iter().flat_map(|(_, spec)| &spec.mounts);
            let own = mounts.filter(|point| point.kind == "volume" && point.anonymous);
            let is_free = |name: &str| {
                let stays = |user: &ContainerId| !gone.iter().any(|(id, _)| id == user);
                !self.volume_references.containers_of(name).iter().any(stays)
            };
            let volumes = own.filter(|point| is_free(&point.name)).map(|point| self.measured(&point.name));
            plan.things.extend(volumes);
        }
        plan
    }

    fn others_by_name(&self, kind: ThingKind, request: &RemovalRequest) -> Removals {
        let mut plan = Removals::default();
        for name in &request.names {
            let found = match kind {
                ThingKind::Network => self.network_by_name(name).map(Some),
                _ => self.volume_by_name(name, request.force),
            };
            match found {
                Ok(Some(thing)) if !plan.things.contains(&thing) => plan.things.push(thing),
                Ok(_) => {}
                Err(error) => plan.kept.push(refusal(kind, name, &error)),
            }
        }
        plan
    }

    fn network_by_name(&self, name: &str) -> Result<Thing, Error> {
        let found = self.network.network(name)?;
        match self.network.removable(found.id.as_str()) {
            Ok(found) => Ok(network(&found)),
            Err(error) => Err(self.with_members(&found, error).into()),
        }
    }

    /// `None` for one that is not there and need not be.
    fn volume_by_name(&self, name: &str, force: bool) -> Result<Option<Thing>, Error> {
        match self.store.volume_details(name) {
            Err(store::Error::NoSuchVolume(_)) if force => return Ok(None),
            found => found?,
        };
        self.volume_references.check_free(name)?;
        Ok(Some(self.measured(name)))
    }

    /// Only what takes space of this engine's is counted: a plugin's volume, or one with driver options, would have to be
    /// mounted for that.
    fn measured(&self, name: &str) -> Thing {
        let own = self.store.volume(name).is_ok_and(|volume| volume.driver == "local" && volume.options.is_empty());
        Thing { bytes: if own { self.store.volume_size(name).ok() } else { None }, ..volume(name) }
    }
}

fn refusal(kind: ThingKind, name: &str, error: &Error) -> Kept {
    let thing = Thing { kind, id: String::new(), names: vec![name.to_owned()], bytes: None };
    Kept { thing, reason: chain(error), missing: error.kind() == types::ErrorKind::NotFound }
}
