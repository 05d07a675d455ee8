//! Which images a prune or a removal would take, rehearsed on a copy of what the store knows.

use std::collections::{HashMap, HashSet};

use store::{ContainerUse, ImageId, Rehearsal, RemoveImage, Removed};
use types::{ContainerId, Digest, Kind as _};

use super::{ImageChoice, Kept, Removals, Thing, ThingKind};
use crate::engine::Engine;
use crate::error::chain;
use crate::filters::PruneFilter;

/// A rehearsal and what has come of it.
pub(super) struct ImagePlan<'a> {
    engine: &'a Engine,
    rehearsal: Rehearsal,
    gone: &'a HashSet<ContainerId>,
    /// Bytes of layers by the digest that a removal tells.
    sizes: HashMap<Digest, u64>,
    plan: Removals,
}

impl Engine {
    /// Images, and downloads that broke; `gone` are the containers that go before.
    pub(super) fn images_to_remove(&self, choice: &ImageChoice, gone: &HashSet<ContainerId>) -> Removals {
        let mut plan = ImagePlan::new(self, gone);
        for (id, name) in self.prunable_images(&choice.filter, choice.dangling) {
            let nameless = name.is_none();
            let options = RemoveImage { force: false, prune_children: true, nameless, only: None };
            plan.remove(&name.unwrap_or_else(|| id.hex()), options);
        }
        let mut plan = plan.plan;
        if !choice.chosen {
            plan.things.extend(self.store.idle_partials().into_iter().map(|(digest, size)| Thing {
                kind: ThingKind::Download,
                id: digest.to_string(),
                names: Vec::new(),
                bytes: Some(size),
            }));
        }
        plan
    }

    /// Every name of an image, or none of one without names.
    fn prunable_images(&self, filter: &PruneFilter, dangling: bool) -> Vec<(ImageId, Option<String>)> {
        let images = self.store.images();
        let mut names = Vec::new();
        for image in &images {
            let labels = &image.config.config.labels;
            if !filter.matches(image.created(), |key| labels.get(key).map(String::as_str)) {
                continue;
            }
            let nameless = image.repo_tags.is_empty() && image.repo_digests.is_empty();
            if nameless {
                if !images.iter().any(|other| other.parent == Some(image.id)) {
                    names.push((image.id, None));
                }
            } else if !dangling || image.repo_tags.is_empty() {
                let all = image.repo_tags.iter().chain(&image.repo_digests);
                names.extend(all.map(|name| (image.id, Some(name.familiar()))));
            }
        }
        names
    }
}

// === impl ImagePlan ===

impl<'a> ImagePlan<'a> {
    pub(super) fn new(engine: &'a Engine, gone: &'a HashSet<ContainerId>) -> Self {
        let mut rehearsal = engine.store.rehearse();
        gone.iter().for_each(|container| rehearsal.remove_container(container));
        Self { engine, rehearsal, gone, sizes: engine.layer_sizes(), plan: Removals::default() }
    }

    /// What has been planned.
    pub(super) fn plan(self) -> Removals {
        self.plan
    }

    /// Plans the removal of a name or an id.
    pub(super) fn remove(&mut self, name: &str, options: RemoveImage<'_>) {
        let (engine, gone) = (self.engine, self.gone);
        let users = |image: &ImageId| -> Vec<ContainerUse> {
            engine.users_of(image).into_iter().filter(|user| !gone.contains(&user.id)).collect()
        };
        let resolved = self.rehearsal.resolve(name);
        let removed = resolved.and_then(|id| Ok((id, self.rehearsal.remove(name, options, &users)?)));
        match removed {
            Ok((id, steps)) => self.steps(id, steps),
            Err(error) => {
                let missing = error.kind() == types::ErrorKind::NotFound;
                let id = self.rehearsal.resolve(name).map(|id| id.to_string()).unwrap_or_default();
                let thing = Thing { kind: ThingKind::Image, id, names: vec![name.to_owned()], bytes: None };
                self.plan.kept.push(Kept { thing, reason: chain(&error), missing });
            }
        }
    }

    /// Names and layers belong to the image that is dealt with; another image that goes with it is a thing of its own.
    fn steps(&mut self, first: ImageId, steps: Vec<Removed>) {
        let mut current = first.0;
        for step in steps {
            match step {
                Removed::Untagged(name) => self.thing(current).names.push(name),
                Removed::Deleted(digest) => match self.sizes.get(&digest).copied() {
                    Some(size) => {
                        let bytes = &mut self.thing(current).bytes;
                        *bytes = Some(bytes.unwrap_or(0) + size);
                    }
                    None => {
                        current = digest;
                        self.thing(current);
                    }
                },
            }
        }
    }

    /// The planned image; a new one when it is not planned yet.
    fn thing(&mut self, image: Digest) -> &mut Thing {
        let id = image.to_string();
        let at = self.plan.things.iter().position(|thing| thing.id == id);
        let at = at.unwrap_or_else(|| {
            self.plan.things.push(Thing { kind: ThingKind::Image, id, names: Vec::new(), bytes: Some(0) });
            self.plan.things.len() - 1
        });
        &mut self.plan.things[at]
    }
}
