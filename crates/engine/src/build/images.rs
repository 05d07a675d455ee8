//! The images of steps: found again, or made.

use std::sync::Arc;

use build::solve::Record;
use serde_json::{Value, json};
use store::{ChildImage, History, Image, ImageConfig, ImageId, Layer, Lease};
use types::ContainerId;

use super::convert::{container_config, to_store};
use crate::engine::Engine;
use crate::error::Error;

/// Where steps that were done before are looked for.
#[derive(Default)]
pub(super) struct Cache {
    /// Images of `--cache-from`, as far as they are here; `None` for whatever was built here.
    pub(super) sources: Option<Vec<Arc<Image>>>,
}

/// Makes the image of a step; `layer` is what the step has written.
pub(super) fn commit(
    engine: &Engine,
    lease: &Lease,
    record: &Record<'_, ImageId>,
    container: &ContainerId,
    layer: Option<&Layer>,
) -> Result<ImageId, Error> {
    let mut shown = container_config(record);
    if !record.is_run {
        shown["Hostname"] = json!(container.short());
    }
    let child = ChildImage {
        // Steps have none; the last image gets its own when the build is done.
        names: Vec::new(),
        parent: record.parent.copied(),
        config: to_store(record.config),
        author: record.author.to_owned(),
        comment: String::new(),
        created_by: record.command.join(" "),
        engine_version: crate::system::VERSION.to_owned(),
        other: vec![
            ("container".to_owned(), Value::String(container.to_string())),
            ("container_config".to_owned(), shown),
        ],
    };
    let image = engine.store.put_child_image(lease, layer, child)?;
    Ok(image)
}

impl Cache {
    /// The image of a step with this record.
    pub(super) fn find(
        &mut self,
        engine: &Engine,
        lease: &Lease,
        record: &Record<'_, ImageId>,
    ) -> Result<Option<ImageId>, Error> {
        let here = built_here(engine, record);
        let Some(sources) = &self.sources else { return Ok(here) };
        if let Some(image) = here
            && sources.iter().any(|source| descends(engine, source, image))
        {
            return Ok(Some(image));
        }
        self.in_histories(engine, lease, record)
    }

    /// The step in the history of one of the sources.
    fn in_histories(
        &mut self,
        engine: &Engine,
        lease: &Lease,
        record: &Record<'_, ImageId>,
    ) -> Result<Option<ImageId>, Error> {
        let parent = record.parent.map(|parent| engine.store.image(parent)).transpose()?;
        let done = parent.as_ref().map_or(0, |parent| parent.config.history.len());
        let command = record.command.join(" ");
        let continues = |source: &&Arc<Image>| {
            follows(source, parent.as_deref())
                && source.config.history.get(done).is_some_and(|entry| entry.created_by == command)
        };
        let Some(source) = self.sources.iter().flatten().find(continues).cloned() else { return Ok(None) };
        if source.config.history.len() == done + 1 {
            return Ok(Some(source.id));
        }
        let image = restore(engine, lease, record, parent.as_deref(), &source)?;
        // Later steps have to come from the same image.
        self.sources = Some(vec![source]);
        Ok(Some(image))
    }
}

/// The newest child of the parent whose step had the same container.
fn built_here(engine: &Engine, record: &Record<'_, ImageId>) -> Option<ImageId> {
    let wanted = container_config(record);
    let images = engine.store.images();
    let children = images.iter().filter(|image| image.parent.as_ref() == record.parent);
    let same = |image: &&Arc<Image>| {
        image.config.other.get("container_config").is_some_and(|found| {
            let mut found = found.clone();
            // The one member that is the container's own.
            if let Some(name) = found.get_mut("Hostname") {
                *name = json!("");
            }
            found == wanted
        })
    };
    children.filter(|image| record.parent.is_some() || image.config.history.len() == 1).find(same).map(|image| image.id)
}

/// Whether an image is another one or was made of it.
fn descends(engine: &Engine, image: &Image, from: ImageId) -> bool {
    let parent = |id: &ImageId| engine.store.image(id).ok()?.parent;
    std::iter::successors(Some(image.id), parent).any(|id| id == from)
}

/// Whether an image's history goes on where the parent's ends.
fn follows(image: &Image, parent: Option<&Image>) -> bool {
    let Some(parent) = parent else { return !image.config.history.is_empty() };
    let (own, below) = (&image.config, &parent.config);
    own.history.len() > below.history.len()
        && own.history.starts_with(&below.history)
        && own.rootfs.diff_ids.starts_with(&below.rootfs.diff_ids)
}

/// Makes the image that a source was before its further steps.
fn restore(
    engine: &Engine,
    lease: &Lease,
    record: &Record<'_, ImageId>,
    parent: Option<&Image>,
    source: &Image,
) -> Result<ImageId, Error> {
    let done = parent.map_or(0, |parent| parent.config.history.len());
    let history: Vec<History> = source.config.history[..=done].to_vec();
    let layers = history.iter().filter(|entry| !entry.empty_layer).count();
    let mut config = ImageConfig {
        config: to_store(record.config),
        created: history[done].created.clone(),
        author: history[done].author.clone(),
        history,
        architecture: source.config.architecture.clone(),
        os: source.config.os.clone(),
        variant: source.config.variant.clone(),
        ..ImageConfig::default()
    };
    config.rootfs.diff_ids = source.config.rootfs.diff_ids.iter().take(layers).copied().collect();
    config.other.insert("container_config".to_owned(), container_config(record));
    let bytes = serde_json::to_vec(&config).map_err(|error| Error::BuildFiles(error.to_string()))?;
    Ok(engine.store.put_image(lease, &bytes, record.parent.copied())?)
}
