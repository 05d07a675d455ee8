//! Removing what nobody uses: `prune` of containers, images and volumes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use store::{RemoveImage, Removed};
use types::{Digest, Kind};

use crate::engine::Engine;
use crate::error::Error;
use crate::filters::{Filters, PruneFilter, truth};
use crate::lifecycle::RemoveContainer;
use crate::model::{ContainerState, EventKind};

/// What a prune removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruned<T> {
    /// The removed things, in the order of their removal.
    pub removed: Vec<T>,
    /// Bytes that this freed.
    pub reclaimed: u64,
}

impl Engine {
    /// Removes the containers that do not run. One that cannot be removed stays and is logged.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn prune_containers(self: &Arc<Self>, filters: &Filters) -> Result<Pruned<String>, Error> {
        let filter = PruneFilter::parse(filters, &["until"], Timestamp::now())?;
        let mut pruned = Pruned { removed: Vec::new(), reclaimed: 0 };
        for container in self.containers.snapshot() {
            let (spec, status) = (Arc::clone(&container.spec), container.status());
            let busy = status.state.is_running() || matches!(status.state, ContainerState::Restarting { .. });
            if busy || status.removed || !filter.matches_map(Some(spec.created), &spec.config.labels) {
                continue;
            }
            let (engine, id) = (Arc::clone(self), spec.id.clone());
            // Unknown sizes count as nothing.
            let size = self.blocking(move || Ok(engine.store.layer_size(&id)?)).await.unwrap_or(0);
            match self.remove(spec.id.as_str(), RemoveContainer::default()).await {
                Ok(()) => {
                    pruned.removed.push(spec.id.to_string());
                    pruned.reclaimed += size;
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(container = spec.id.as_str(), error, "not pruned");
                }
            }
        }
        self.prune_event(EventKind::Container, pruned.reclaimed);
        Ok(pruned)
    }

    /// Removes images without a tag; with the filter `dangling=false` all that no container uses.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn prune_images(self: &Arc<Self>, filters: &Filters) -> Result<Pruned<Removed>, Error> {
        let filter = PruneFilter::parse(filters, &["dangling", "until"], Timestamp::now())?;
        let dangling = match filters.get("dangling").and_then(|values| values.first()) {
            Some(value) => truth("dangling", value)?,
            None => true,
        };
        let (engine, chosen) = (Arc::clone(self), filters.keys().any(|key| key != "dangling"));
        self.blocking(move || {
            let sizes = engine.layer_sizes();
            let mut removed = Vec::new();
            for (name, nameless) in engine.prunable_images(&filter, dangling) {
                let options = RemoveImage { force: false, prune_children: true, nameless };
                match engine.remove_image(&name, options) {
                    Ok(steps) => removed.extend(steps),
                    // In use, or gone with another one.
                    Err(error) => {
                        tracing::debug!(name, error = &error as &dyn std::error::Error, kind = ?error.kind(), "kept");
                    }
                }
            }
            let freed = removed.iter().map(|step| match step {
                Removed::Deleted(digest) => sizes.get(digest).copied().unwrap_or(0),
                Removed::Untagged(_) => 0,
            });
            // Downloads that broke have neither age nor labels to choose them by.
            let partial = if chosen { 0 } else { engine.store.prune_partials() };
            let reclaimed = freed.sum::<u64>() + partial;
            engine.prune_event(EventKind::Image, reclaimed);
            Ok(Pruned { removed, reclaimed })
        })
        .await
    }

    /// Removes volumes that no container mounts: the anonymous ones, or with the filter `all=true` all of them.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn prune_volumes(self: &Arc<Self>, filters: &Filters) -> Result<Pruned<String>, Error> {
        let filter = PruneFilter::parse(filters, &["all"], Timestamp::now())?;
        let all = match filters.get("all").and_then(|values| values.first()) {
            Some(value) => truth("all", value)?,
            None => false,
        };
        let engine = Arc::clone(self);
        self.blocking(move || {
            let mut pruned = Pruned { removed: Vec::new(), reclaimed: 0 };
            let used = engine.volume_references.counts();
            for volume in engine.store.volumes() {
                // What a driver option names is somebody else's, as in Docker.
                let own = volume.options.is_empty();
                let meant = own && (all || volume.anonymous) && filter.matches_map(None, &volume.labels);
                if !meant || used.contains_key(&volume.name) {
                    continue;
                }
                let size = engine.store.volume_size(&volume.name).unwrap_or(0);
                match engine.remove_volume(&volume.name, false) {
                    Ok(()) => {
                        pruned.removed.push(volume.name);
                        pruned.reclaimed += size;
                    }
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(volume = volume.name, error, "not pruned");
                    }
                }
            }
            engine.prune_event(EventKind::Volume, pruned.reclaimed);
            Ok(pruned)
        })
        .await
    }

    /// Names by which to remove images: every name of one, or the id of one without names, and that it has none.
    fn prunable_images(&self, filter: &PruneFilter, dangling: bool) -> Vec<(String, bool)> {
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
                    names.push((image.id.hex(), true));
                }
            } else if !dangling || image.repo_tags.is_empty() {
                let all = image.repo_tags.iter().chain(&image.repo_digests);
                names.extend(all.map(|name| (name.familiar(), false)));
            }
        }
        names
    }

    /// Bytes of every layer that images have, by the digest that a removal tells.
    pub(crate) fn layer_sizes(&self) -> HashMap<Digest, u64> {
        let lease = self.store.lease();
        let images = self.store.images();
        let chains = images.iter().flat_map(|image| &image.chain);
        chains.filter_map(|chain| Some((chain.0, self.store.layer(&lease, chain)?.size))).collect()
    }

    pub(crate) fn prune_event(&self, kind: EventKind, reclaimed: u64) {
        self.publish(kind, "prune", "", BTreeMap::from([("reclaimed".to_owned(), reclaimed.to_string())]));
    }
}
