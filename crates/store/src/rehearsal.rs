//! What removals of images would do, tried on a copy of what the store knows.

use std::sync::Arc;

use types::{ContainerId, Reference};

use crate::remove::{InUse, Removal, Shelf, Taken, obstacle, take_names};
use crate::state::State;
use crate::{ChainId, ContainerUse, Image, ImageId, RemoveImage, Removed, Result, Store};

/// What the store knows at one moment, to see what removals would do; nothing comes of them.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    state: State,
    /// Bytes of layers, unpacked, and of their blobs that the removals so far have freed.
    freed: u64,
}

impl Store {
    /// A copy of what is known now, on which removals can be tried.
    #[must_use]
    pub fn rehearse(&self) -> Rehearsal {
        Rehearsal { state: self.0.state().clone(), freed: 0 }
    }
}

// === impl Rehearsal ===

impl Rehearsal {
    /// What [`Store::remove`] would do, as if the removals before had been done.
    ///
    /// # Errors
    /// As [`Store::remove`].
    pub fn remove(&mut self, name: &str, options: RemoveImage<'_>, in_use: InUse<'_>) -> Result<Vec<Removed>> {
        Removal { shelf: self, options, in_use }.run(name)
    }

    /// Forgets a container's layer, as its removal would.
    pub fn remove_container(&mut self, container: &ContainerId) {
        let Some(layer) = self.state.containers.remove(container) else { return };
        for top in layer.parent.into_iter().chain(layer.pinned) {
            self.collect_counted(top);
        }
    }

    /// The image that a name or id means.
    ///
    /// # Errors
    /// As [`Store::resolve`].
    pub fn resolve(&self, name: &str) -> Result<ImageId> {
        self.state.resolve(name)
    }

    /// The images that are left, in no order.
    pub fn images(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.state.images.values()
    }

    /// Whether work in progress needs an image.
    #[must_use]
    pub fn is_leased(&self, id: &ImageId) -> bool {
        self.state.leased_images.contains_key(id)
    }

    /// Bytes of the layers, unpacked, and of their blobs that the removals so far would free.
    #[must_use]
    pub fn freed(&self) -> u64 {
        self.freed
    }

    /// Bytes of all layers, unpacked, and of their blobs.
    #[must_use]
    pub fn size(&self) -> u64 {
        let layers = self.state.layers.values().map(|entry| entry.layer.size);
        let blobs = self.state.blobs.values().flatten().map(|blob| blob.size);
        layers.chain(blobs).sum()
    }

    fn collect_counted(&mut self, top: ChainId) -> Vec<ChainId> {
        let collected = self.state.collect(top);
        let bytes = collected.iter().map(|one| one.layer.size + one.blobs.iter().map(|blob| blob.size).sum::<u64>());
        self.freed += bytes.sum::<u64>();
        collected.into_iter().map(|one| one.layer.chain).collect()
    }
}

impl Shelf for &mut Rehearsal {
    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state)
    }

    fn untag(&mut self, id: &ImageId, references: &[Reference], removed: &mut Vec<Removed>) -> Result<()> {
        removed.extend(take_names(&mut self.state.names, id, references));
        self.state.refresh_names(id);
        Ok(())
    }

    fn take(&mut self, id: &ImageId, known: &[ContainerUse]) -> Result<Taken> {
        Ok(match obstacle(&self.state, id, known) {
            Some(taken) => taken,
            None => self.state.images.remove(id).map_or(Taken::Missing, Taken::Gone),
        })
    }

    fn collect(&mut self, top: ChainId) -> Vec<ChainId> {
        self.collect_counted(top)
    }
}
