//! A loose layer gets its place on top of others.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};

use super::LooseLayer;
use crate::driver::{self, Slot};
use crate::layers::NewLayer;
use crate::records::child_chain;
use crate::stream::decompress;
use crate::unpack::{Target, Whiteouts, describe_directory, unpack};
use crate::{ChainId, Error, Layer, Lease, Result, Store};

impl Store {
    /// Puts a loose layer on top of `parent`, under the lease. When the same layer is there already, that one is meant.
    ///
    /// # Errors
    /// [`Error::MaxDepth`], [`Error::NoSuchLayer`] or the file system's refusal; the layer is gone then.
    pub fn place_layer(&self, lease: &Lease, parent: Option<ChainId>, mut loose: LooseLayer) -> Result<Layer> {
        let depth = self.depth_above(lease, parent)?;
        let chain = child_chain(parent, loose.diff);
        if let Some(layer) = self.layer(lease, &chain) {
            return Ok(layer);
        }
        let below = self.0.state().slots_below(parent);
        match loose.pending.take() {
            Some(whiteouts) => loose.fill(&below, whiteouts)?,
            None => loose.lie_on(&below)?,
        }
        let layer = Layer { chain, diff: loose.diff, parent, size: loose.tree.size };
        let new = NewLayer { layer, slot: &loose.slot, depth, blob: &loose.blob };
        let (layer, is_ours) = self.commit_new(lease, new)?;
        loose.is_placed = is_ours;
        Ok(layer)
    }
}

impl LooseLayer {
    /// What overlay has to know of the layers below, and what directories take over from them.
    fn lie_on(&mut self, below: &[Slot]) -> Result<()> {
        let inner = &self.store.0;
        let lower = below.first().map(Slot::lower_of_child).unwrap_or_default();
        inner.driver.set_lower(&inner.paths, &mut self.slot, lower)?;
        if below.is_empty() || self.tree.implied.is_empty() {
            return Ok(());
        }
        let open = |slot: &Slot| driver::open_directory(&inner.driver.diff(&inner.paths, &slot.id));
        let lowers = below.iter().map(open).collect::<Result<Vec<OwnedFd>>>()?;
        let own = open(&self.slot)?;
        for path in &self.tree.implied {
            let Some(stat) = lowers.iter().find_map(|lower| found(lower, path)) else { continue };
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                continue;
            }
            // What another entry has replaced since is described by that entry.
            let Ok(directory) = open_below(&own, path, OFlags::RDONLY | OFlags::DIRECTORY) else { continue };
            let shown = || Path::new("/").join(path);
            describe_directory(directory.as_fd(), &stat).map_err(|source| Error::io("chmod", shown(), source))?;
        }
        Ok(())
    }

    /// A copy of the parent, and this layer's changes in it (vfs).
    fn fill(&mut self, below: &[Slot], whiteouts: Whiteouts) -> Result<()> {
        let inner = &self.store.0;
        let directory = inner.paths.layer(&self.slot.id);
        if let Some(parent) = below.first() {
            crate::copy::copy_tree(&inner.paths.layer(&parent.id), &directory)?;
        }
        let path = self.blob.path.clone().unwrap_or_else(|| inner.paths.blob(&self.blob.digest));
        let file = File::open(&path).map_err(|source| Error::io("open", &path, source))?;
        let (_, mut plain) = decompress(file)?;
        let whiteouts = if whiteouts == Whiteouts::Overlay { Whiteouts::Apply } else { whiteouts };
        self.tree = unpack(&mut plain, &Target { directory: &directory, whiteouts })?;
        Ok(())
    }
}

/// What a layer has at a path, links on the way followed inside of it.
fn found(layer: &OwnedFd, path: &Path) -> Option<Stat> {
    rustix::fs::fstat(open_below(layer, path, OFlags::PATH).ok()?).ok()
}

fn open_below(layer: &OwnedFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(layer, path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve)
}
