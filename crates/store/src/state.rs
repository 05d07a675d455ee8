//! What the store knows, in memory; the files are read once, at open.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use types::{ContainerId, Digest};

use crate::driver::{Driver, Slot};
use crate::durable::Flusher;
use crate::init_layer::InitLayers;
use crate::names::Names;
use crate::partial::Taken;
use crate::paths::Paths;
use crate::quota::Quotas;
use crate::sweep::Sweeper;
use crate::unfinished::Unfinished;
use crate::volume_mount::VolumeUsers;
use crate::volume_plugin::PluginVolumes;
use crate::{ChainId, DiffId, Image, ImageId, Layer, Volume};

/// Shared by all clones of a store.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) paths: Paths,
    pub(crate) driver: Driver,
    /// Native name of the file system below, for `docker info`.
    pub(crate) backing: String,
    pub(crate) state: Mutex<State>,
    pub(crate) volumes: Mutex<BTreeMap<String, Volume>>,
    pub(crate) volume_users: VolumeUsers,
    pub(crate) plugin_volumes: PluginVolumes,
    pub(crate) quotas: Quotas,
    pub(crate) sweeper: Sweeper,
    pub(crate) flusher: Flusher,
    pub(crate) unfinished: Unfinished,
    pub(crate) init_layers: InitLayers,
    pub(crate) partials: Taken,
}

/// Images, names, layers and who keeps them.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) images: HashMap<ImageId, Arc<Image>>,
    pub(crate) names: Names,
    pub(crate) layers: HashMap<ChainId, LayerEntry>,
    /// Layers that work in progress needs, by how often.
    pub(crate) leased: HashMap<ChainId, usize>,
    /// Images that work in progress needs, by how often.
    pub(crate) leased_images: HashMap<ImageId, usize>,
    pub(crate) blobs: HashMap<DiffId, Vec<BlobRecord>>,
    pub(crate) diff_of_blob: HashMap<Digest, DiffId>,
    pub(crate) containers: HashMap<ContainerId, ContainerLayer>,
    /// A record could not be read: whatever it mentions must be left where it is.
    pub(crate) damaged: bool,
}

/// A layer and where it is.
#[derive(Clone, Debug)]
pub(crate) struct LayerEntry {
    pub(crate) layer: Layer,
    pub(crate) slot: Slot,
    /// 1 for a base layer.
    pub(crate) depth: usize,
}

/// One element of `v2metadata-by-diffid`; Docker's member names and two of our own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BlobRecord {
    pub(crate) digest: Digest,
    #[serde(default)]
    pub(crate) source_repository: String,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) media_type: String,
}

/// The writable layer of a container.
#[derive(Clone, Debug)]
pub(crate) struct ContainerLayer {
    pub(crate) slot: Slot,
    /// Name of the `-init` layer's directory, or of what leads to it.
    pub(crate) init: String,
    pub(crate) parent: Option<ChainId>,
    /// The image it was made from, since this daemon runs.
    pub(crate) image: Option<ImageId>,
    /// Topmost layers of images that it mounts.
    pub(crate) pinned: Vec<ChainId>,
}

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves maps that are each consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Nothing refers to the layer any more.
    pub(crate) fn is_unused(&self, chain: &ChainId) -> bool {
        !self.leased.contains_key(chain)
            && !self.images.values().any(|image| image.chain.contains(chain))
            && !self
                .containers
                .values()
                .any(|container| container.parent.as_ref() == Some(chain) || container.pinned.contains(chain))
            && !self.layers.values().any(|entry| entry.layer.parent.as_ref() == Some(chain))
    }

    /// Renews the names inside an image's snapshot.
    pub(crate) fn refresh_names(&mut self, id: &ImageId) {
        let names = self.names.of(id);
        if let Some(image) = self.images.get_mut(id) {
            let (digests, tags) = names.into_iter().partition(|name| name.digest().is_some());
            let image = Arc::make_mut(image);
            (image.repo_tags, image.repo_digests) = (tags, digests);
        }
    }

    /// The layers from this one down to the base, topmost first.
    pub(crate) fn slots_below(&self, chain: Option<ChainId>) -> Vec<Slot> {
        std::iter::successors(chain, |chain| self.layers.get(chain)?.layer.parent)
            .filter_map(|chain| Some(self.layers.get(&chain)?.slot.clone()))
            .collect()
    }
}
