//! What takes space: `docker system df`.

use std::collections::HashMap;
use std::sync::Arc;

use store::Volume;
use types::Digest;

use crate::engine::Engine;
use crate::error::Error;
use crate::images::{ImageQuery, ListedImage};
use crate::model::ContainerSummary;
use crate::query::ListContainers;

/// Which kinds of things to measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUsageQuery {
    /// Containers.
    pub containers: bool,
    /// Images and their layers.
    pub images: bool,
    /// Volumes.
    pub volumes: bool,
}

/// What takes space. A kind that was not asked for is `None`.
#[derive(Clone, Debug, Default)]
pub struct DiskUsage {
    /// Bytes in all layers of images, each counted once.
    pub layers_size: u64,
    /// Images, with what they share.
    pub images: Option<Vec<ListedImage>>,
    /// Containers, with sizes.
    pub containers: Option<Vec<ContainerSummary>>,
    /// Volumes.
    pub volumes: Option<Vec<VolumeUsage>>,
}

/// A volume and its size.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeUsage {
    /// The volume.
    pub volume: Volume,
    /// How many containers mount it.
    pub references: usize,
    /// Bytes; `None` when they could not be counted.
    pub size: Option<u64>,
}

impl Engine {
    /// Measures what was asked for.
    ///
    /// # Errors
    /// When a container's layer cannot be read.
    pub async fn disk_usage(self: &Arc<Self>, query: DiskUsageQuery) -> Result<DiskUsage, Error> {
        let mut usage = DiskUsage::default();
        if query.containers {
            let everything = ListContainers { all: true, size: true, ..ListContainers::default() };
            usage.containers = Some(self.list(everything).await?);
        }
        if query.images {
            let measured = ImageQuery { shared_size: true, ..ImageQuery::default() };
            usage.images = Some(self.image_list(measured).await?);
            let engine = Arc::clone(self);
            usage.layers_size = self.blocking(move || Ok(engine.layer_sizes().values().sum())).await?;
        }
        if query.volumes {
            let engine = Arc::clone(self);
            usage.volumes = Some(self.blocking(move || Ok(engine.volume_usage())).await?);
        }
        Ok(usage)
    }

    /// Bytes of every layer that images have, by the digest that a removal tells.
    pub(crate) fn layer_sizes(&self) -> HashMap<Digest, u64> {
        let lease = self.store.lease();
        let images = self.store.images();
        let chains = images.iter().flat_map(|image| &image.chain);
        chains.filter_map(|chain| Some((chain.0, self.store.layer(&lease, chain)?.size))).collect()
    }

    fn volume_usage(&self) -> Vec<VolumeUsage> {
        let references = self.volume_references.counts();
        let measure = |volume: Volume| VolumeUsage {
            references: references.get(&volume.name).copied().unwrap_or(0),
            size: self.store.volume_size(&volume.name).ok(),
            volume,
        };
        // What is on another device or host takes no space here; Docker leaves such volumes out.
        self.store.volumes().into_iter().filter(|volume| volume.options.is_empty()).map(measure).collect()
    }
}
