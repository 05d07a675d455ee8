//! Leases: what work in progress keeps although nothing else refers to it yet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::state::State;
use crate::{ChainId, Error, Image, ImageId, Result, Store};

/// Keeps everything put under it: its layers are not collected, and its images, which may have no name yet, are not
/// pruned. Dropping it collects the layers that no image uses.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Parents before children.
    chains: Vec<ChainId>,
    images: Vec<ImageId>,
}

impl Store {
    /// Begins work whose layers and images must stay.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease { store: self.clone(), held: Mutex::default() }
    }

    /// An image, put under the lease.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn leased_image(&self, lease: &Lease, id: &ImageId) -> Result<Arc<Image>> {
        let mut state = self.0.state();
        let image = state.images.get(id).cloned().ok_or_else(|| Error::NoSuchImage(id.to_string()))?;
        lease.hold_image(&mut state, *id);
        image.chain.iter().for_each(|chain| lease.hold(&mut state, *chain));
        Ok(image)
    }
}

// === impl Lease ===

impl Lease {
    pub(crate) fn hold(&self, state: &mut State, chain: ChainId) {
        let mut held = self.held();
        if !held.chains.contains(&chain) {
            held.chains.push(chain);
            *state.leased.entry(chain).or_default() += 1;
        }
    }

    pub(crate) fn hold_image(&self, state: &mut State, id: ImageId) {
        let mut held = self.held();
        if !held.images.contains(&id) {
            held.images.push(id);
            *state.leased_images.entry(id).or_default() += 1;
        }
    }

    /// Always taken behind the lock of the state.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Held { chains, images } = std::mem::take(&mut *self.held());
        {
            let mut state = self.store.0.state();
            chains.iter().for_each(|chain| release(&mut state.leased, chain));
            images.iter().for_each(|id| release(&mut state.leased_images, id));
        }
        // Children first: they were put after their parents.
        for chain in chains.into_iter().rev() {
            self.store.collect(chain);
        }
    }
}

fn release<K: std::hash::Hash + Eq>(counts: &mut std::collections::HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
