//! `POST /{containers,images,volumes}/prune`.

use api::prune::{BuildCache, Containers, Images, Networks, Volumes};

use crate::call::Call;
use crate::respond::{self, Outcome};
use crate::{decode, encode};

pub(crate) async fn containers(call: Call) -> Outcome {
    let filters = decode::filters(call.query.text("filters"))?;
    let pruned = call.engine.prune_containers(&filters).await?;
    let deleted = (!pruned.removed.is_empty()).then_some(pruned.removed);
    respond::ok(&Containers { containers_deleted: deleted, space_reclaimed: pruned.reclaimed })
}

pub(crate) async fn images(call: Call) -> Outcome {
    let filters = decode::filters(call.query.text("filters"))?;
    let pruned = call.engine.prune_images(&filters).await?;
    let deleted: Vec<_> = pruned.removed.into_iter().map(encode::removed).collect();
    let deleted = (!deleted.is_empty()).then_some(deleted);
    respond::ok(&Images { images_deleted: deleted, space_reclaimed: pruned.reclaimed })
}

pub(crate) async fn networks(call: Call) -> Outcome {
    let filters = decode::filters(call.query.text("filters"))?;
    let removed = call.engine.prune_networks(&filters).await?;
    let networks_deleted = (!removed.is_empty()).then_some(removed);
    respond::ok(&Networks { networks_deleted })
}

/// Before API 1.42 named volumes were removed too.
pub(crate) async fn volumes(call: Call) -> Outcome {
    let mut filters = decode::filters(call.query.text("filters"))?;
    if !call.since(42) {
        filters.insert("all".to_owned(), vec!["true".to_owned()]);
    }
    let pruned = call.engine.prune_volumes(&filters).await?;
    respond::ok(&Volumes { volumes_deleted: pruned.removed, space_reclaimed: pruned.reclaimed })
}

/// What the builder remembers are its images, which `image prune` removes; there is no other cache to be emptied.
pub(crate) async fn build_cache(call: Call) -> Outcome {
    decode::filters(call.query.text("filters"))?;
    for key in ["keep-storage", "reserved-space", "max-used-space", "min-free-space"] {
        call.query.number(key)?;
    }
    respond::ok(&BuildCache { caches_deleted: None, space_reclaimed: 0 })
}
