//! Removes what was planned, each thing only when it still may go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use store::{ImageId, RemoveImage, Removed};
use types::{Digest, Kind as _, Reference};

use super::{Kept, Removals, Thing, ThingKind};
use crate::engine::Engine;
use crate::error::{Error, chain};
use crate::lifecycle::RemoveContainer;

/// What came of a plan.
pub(super) struct Done {
    /// What is gone, and what is not.
    pub(super) removals: Removals,
    /// The steps of images' removal.
    pub(super) steps: Vec<Removed>,
}

impl Engine {
    /// What the plan keeps stays kept.
    pub(super) async fn apply(self: &Arc<Self>, plan: Removals) -> Result<Done, Error> {
        let (mut images, mut things) = (Vec::new(), Vec::new());
        for thing in plan.things {
            if thing.kind == ThingKind::Image { images.push(thing) } else { things.push(thing) }
        }
        let mut done = Removals { things: Vec::new(), kept: plan.kept };
        for thing in things {
            let result = match thing.kind {
                ThingKind::Container => self.remove(&thing.id, RemoveContainer::default()).await.map(|()| true),
                _ => {
                    let (engine, thing) = (Arc::clone(self), thing.clone());
                    self.blocking(move || engine.remove_thing(&thing)).await
                }
            };
            match result {
                Ok(true) => done.things.push(thing),
                Ok(false) => done.kept.push(thing.kept("somebody uses it")),
                Err(error) => done.kept.push(refused(thing, &error)),
            }
        }
        let engine = Arc::clone(self);
        self.blocking(move || {
            let (part, steps) = engine.remove_images(images);
            done.append(part);
            Ok(Done { removals: done, steps })
        })
        .await
    }

    /// Removes one thing that is neither container nor image; false when somebody has begun to use it.
    fn remove_thing(&self, thing: &Thing) -> Result<bool, Error> {
        match thing.kind {
            ThingKind::Network => {
                let network = self.network.network(&thing.id)?;
                self.remove_network(&network)?;
                Ok(true)
            }
            ThingKind::Volume => self.remove_volume(&thing.id, false).map(|()| true),
            ThingKind::Download => {
                let digest: Option<Digest> = thing.id.parse().ok();
                Ok(digest.is_some_and(|digest| self.store.forget_partial(&digest) > 0))
            }
            ThingKind::Container | ThingKind::Image => Ok(false),
        }
    }

    /// No image goes that is not among them, not even a parent without children.
    fn remove_images(&self, things: Vec<Thing>) -> (Removals, Vec<Removed>) {
        let sizes = self.layer_sizes();
        let ids = |thing: &Thing| thing.id.parse::<Digest>().ok().map(ImageId);
        let only: HashSet<ImageId> = things.iter().filter_map(ids).collect();
        let (mut steps, mut done) = (Vec::new(), Removals::default());
        let mut refusals: HashMap<String, Kept> = HashMap::new();
        for thing in &things {
            for (name, nameless) in self.names_to_remove(thing) {
                let options = RemoveImage { force: false, prune_children: true, nameless, only: Some(&only) };
                match self.remove_image(&name, options) {
                    Ok(more) => steps.extend(more),
                    Err(error) => drop(refusals.insert(thing.id.clone(), refused(thing.clone(), &error))),
                }
            }
        }
        let freed = freed_by(&steps, &sizes);
        for thing in things {
            let untagged = |name: &String| steps.contains(&Removed::Untagged(name.clone()));
            match freed.get(&thing.id) {
                Some(bytes) => done.things.push(Thing { bytes: Some(*bytes), ..thing }),
                None if thing.names.iter().any(untagged) => done.things.push(Thing { bytes: Some(0), ..thing }),
                None => {
                    let refusal = refusals.remove(&thing.id);
                    done.kept.push(refusal.unwrap_or_else(|| thing.kept("somebody uses it, or named it meanwhile")));
                }
            }
        }
        (done, steps)
    }

    /// The names that still are the image's, or its id when it had none.
    fn names_to_remove(&self, thing: &Thing) -> Vec<(String, bool)> {
        if thing.names.is_empty() {
            return thing.id.parse::<Digest>().ok().map(|id| (id.hex(), true)).into_iter().collect();
        }
        let is_its = |name: &&String| {
            let image = name.parse::<Reference>().ok().and_then(|name| self.store.named_image(&name));
            image.is_some_and(|image| image.to_string() == thing.id)
        };
        thing.names.iter().filter(is_its).map(|name| (name.clone(), false)).collect()
    }
}

/// Bytes of the layers that went with each image that went, by its id.
fn freed_by(steps: &[Removed], sizes: &HashMap<Digest, u64>) -> HashMap<String, u64> {
    let mut freed: HashMap<String, u64> = HashMap::new();
    let mut current = None;
    for step in steps {
        let Removed::Deleted(digest) = step else { continue };
        match (sizes.get(digest), &current) {
            (Some(size), Some(image)) => *freed.entry(String::clone(image)).or_default() += size,
            (Some(_), None) => {}
            (None, _) => {
                freed.insert(digest.to_string(), 0);
                current = Some(digest.to_string());
            }
        }
    }
    freed
}

fn refused(thing: Thing, error: &Error) -> Kept {
    let missing = error.kind() == types::ErrorKind::NotFound;
    // What somebody else removed or uses is no trouble.
    if !missing && error.kind() != types::ErrorKind::Conflict && error.kind() != types::ErrorKind::Forbidden {
        tracing::warn!(kind = thing.kind.word(), id = thing.id, error = error as &dyn std::error::Error, "not pruned");
    }
    Kept { reason: chain(error), thing, missing }
}
