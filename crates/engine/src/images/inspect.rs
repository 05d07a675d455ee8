//! `docker image inspect` and `docker history`.

use std::sync::Arc;

use jiff::Timestamp;
use store::{GraphDriverData, Image, ImageManifest};
use types::Platform;

use crate::engine::Engine;
use crate::error::Error;

/// Everything about one image.
#[derive(Clone, Debug)]
pub struct ImageDetails {
    /// The image.
    pub image: Arc<Image>,
    /// Storage driver.
    pub driver: &'static str,
    /// Directories of its top layer.
    pub graph_driver: GraphDriverData,
    /// The manifest that describes it, when asked for.
    pub manifest: Option<DescribedManifest>,
}

/// A manifest of ours with what `Manifests` tells about it.
#[derive(Clone, Debug)]
pub struct DescribedManifest {
    /// The document.
    pub manifest: ImageManifest,
    /// Containers that use the image, full ids.
    pub containers: Vec<String>,
}

/// One line of `docker history`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The image's id on the newest line, `<missing>` on the others.
    pub id: String,
    /// When.
    pub created: Option<Timestamp>,
    /// The instruction.
    pub created_by: String,
    /// Names, on the newest line.
    pub tags: Vec<String>,
    /// Bytes of the layer.
    pub size: u64,
    /// Commit message.
    pub comment: String,
}

impl Engine {
    /// Describes one image.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn image_inspect(
        self: &Arc<Self>,
        name: &str,
        platform: Option<Platform>,
        manifests: bool,
    ) -> Result<ImageDetails, Error> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        self.blocking(move || {
            let image = engine.find_image_for(&name, platform.as_ref())?;
            let top = image.top();
            let graph_driver = top.map(|chain| engine.store.graph_driver_data_of_chain(&chain)).transpose()?;
            let graph_driver = graph_driver.unwrap_or_default();
            let manifest = manifests.then(|| engine.describe_image(&image)).transpose()?;
            Ok(ImageDetails { image, driver: engine.store.driver_name(), graph_driver, manifest })
        })
        .await
    }

    /// The manifest of an image with who uses it.
    pub(super) fn describe_image(&self, image: &Image) -> Result<DescribedManifest, Error> {
        let containers = self.users_of(&image.id).into_iter().map(|user| user.id.to_string()).collect();
        Ok(DescribedManifest { manifest: self.store.manifest(image)?, containers })
    }

    /// The instructions an image was made by, newest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn image_history(
        self: &Arc<Self>,
        name: &str,
        platform: Option<Platform>,
    ) -> Result<Vec<HistoryEntry>, Error> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        self.blocking(move || {
            let image = engine.find_image_for(&name, platform.as_ref())?;
            let lease = engine.store.lease();
            let size = |chain| engine.store.layer(&lease, chain).map_or(0, |layer| layer.size);
            let sizes: Vec<u64> = image.chain.iter().map(size).collect();
            let mut entries = history(&image, &sizes);
            // The images it was made of are named too, as far as they are here.
            let mut parent = image.parent;
            for entry in entries.iter_mut().skip(1) {
                let Some(id) = parent else { break };
                let Ok(image) = engine.store.image(&id) else { break };
                entry.id = id.to_string();
                entry.tags = image.repo_tags.iter().map(types::Reference::familiar).collect();
                parent = image.parent;
            }
            Ok(entries)
        })
        .await
    }
}

/// `sizes` are those of the layers, bottom first.
fn history(image: &Image, sizes: &[u64]) -> Vec<HistoryEntry> {
    let mut sizes = sizes.iter().copied();
    let mut entries: Vec<HistoryEntry> = image
        .config
        .history
        .iter()
        .map(|step| HistoryEntry {
            id: "<missing>".to_owned(),
            created: step.created.as_deref().and_then(|text| text.parse().ok()),
            created_by: step.created_by.clone(),
            tags: Vec::new(),
            size: if step.empty_layer { 0 } else { sizes.next().unwrap_or(0) },
            comment: step.comment.clone(),
        })
        .collect();
    // Layers that no instruction owns up to, as an image without a history has them.
    entries.extend(sizes.map(|size| HistoryEntry { id: "<missing>".to_owned(), size, ..Default::default() }));
    entries.reverse();
    if let Some(newest) = entries.first_mut() {
        newest.id = image.id.to_string();
        newest.tags = image.repo_tags.iter().map(types::Reference::familiar).collect();
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{History, ImageConfig, ImageId};
    use types::Digest;

    #[test]
    fn layers_go_to_the_instructions_that_made_them() {
        let step = |text: &str, empty_layer| History {
            created: Some("2026-01-02T03:04:05Z".to_owned()),
            created_by: text.to_owned(),
            empty_layer,
            ..Default::default()
        };
        let config = ImageConfig {
            history: vec![step("ADD rootfs", false), step("CMD sh", true), step("RUN x", false)],
            ..Default::default()
        };
        let image = Image {
            id: ImageId(Digest::from_sha256([1; 32])),
            config: Arc::new(config),
            raw: Arc::from([]),
            chain: Vec::new(),
            size: 0,
            parent: None,
            repo_tags: vec!["a:b".parse().expect("valid")],
            repo_digests: Vec::new(),
            last_tag_time: None,
        };
        let entries = history(&image, &[10, 20]);
        let lines: Vec<_> = entries.iter().map(|entry| (entry.created_by.as_str(), entry.size)).collect();
        assert_eq!(lines, [("RUN x", 20), ("CMD sh", 0), ("ADD rootfs", 10)]);
        assert_eq!((entries[0].tags.len(), entries[1].id.as_str()), (1, "<missing>"));
    }
}
