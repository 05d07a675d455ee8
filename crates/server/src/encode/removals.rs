//! What is removed, would be, or stays.

use api::prune::{Kept, Removals, Thing};
use engine::model::image::Removed;

/// Encodes a plan, or what came of it; `steps` are those of images' removal.
#[must_use]
pub fn removals(removals: &engine::Removals, steps: Vec<Removed>) -> Removals {
    let thing = |thing: &engine::Thing| Thing {
        kind: thing.kind.word().to_owned(),
        id: thing.id.clone(),
        names: thing.names.clone(),
        bytes: thing.bytes,
    };
    let kept = |kept: &engine::Kept| Kept {
        kind: kept.thing.kind.word().to_owned(),
        id: kept.thing.id.clone(),
        names: kept.thing.names.clone(),
        reason: kept.reason.clone(),
        missing: kept.missing,
    };
    Removals {
        things: removals.things.iter().map(thing).collect(),
        kept: removals.kept.iter().map(kept).collect(),
        images_deleted: steps.into_iter().map(super::removed).collect(),
        space_reclaimed: removals.bytes(),
    }
}
