//! Image layers: their records, who needs them, and their end.

use std::fs;
use std::path::PathBuf;

use types::Digest;

use crate::driver::{self, Driver, Slot};
use crate::state::{BlobRecord, LayerEntry, State};
use crate::stream::{Compression, media_type};
use crate::{BlobInfo, ChainId, DiffId, Error, Layer, Lease, Result, Store};

/// As many as overlay mounts take together with the container's own two (Docker's limit).
const MAX_DEPTH: usize = 125;

/// The blob of a new layer.
#[derive(Debug)]
pub(crate) struct BlobFile {
    /// The file that becomes the blob; `None` when it is kept already.
    pub(crate) path: Option<PathBuf>,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) compression: Compression,
}

/// A layer that is complete and has no record yet.
pub(crate) struct NewLayer<'a> {
    pub(crate) layer: Layer,
    pub(crate) slot: &'a Slot,
    pub(crate) depth: usize,
    pub(crate) blob: &'a BlobFile,
}

/// A layer that nothing used, and what goes with it.
pub(crate) struct CollectedLayer {
    pub(crate) layer: Layer,
    pub(crate) directory: String,
    /// Those that are kept for it and for no other layer.
    pub(crate) blobs: Vec<BlobRecord>,
    /// No other layer has its content.
    pub(crate) last: bool,
}

impl Store {
    /// The layer of this chain, put under the lease; `None` when it is not here.
    #[must_use]
    pub fn layer(&self, lease: &Lease, chain: &ChainId) -> Option<Layer> {
        let mut state = self.0.state();
        let layer = state.layers.get(chain)?.layer.clone();
        lease.hold(&mut state, *chain);
        Some(layer)
    }

    /// The content that a blob unpacks to, where that is known from an earlier transfer.
    #[must_use]
    pub fn diff_of_blob(&self, blob: &Digest) -> Option<DiffId> {
        self.0.state().diff_of_blob.get(blob).copied()
    }

    /// The blob kept for a layer's content.
    #[must_use]
    pub fn blob_of_diff(&self, diff: &DiffId) -> Option<BlobInfo> {
        let state = self.0.state();
        let record = state.blobs.get(diff)?.first()?;
        Some(BlobInfo {
            digest: record.digest,
            size: record.size,
            media_type: record.media_type.clone(),
            path: self.0.paths.blob(&record.digest),
        })
    }

    /// The blob kept for a layer's content, which stays as long as the lease.
    #[must_use]
    pub fn kept_blob(&self, lease: &Lease, diff: &DiffId) -> Option<BlobInfo> {
        {
            let mut state = self.0.state();
            let chain = state.layers.values().find(|entry| entry.layer.diff == *diff)?.layer.chain;
            lease.hold(&mut state, chain);
        }
        self.blob_of_diff(diff)
    }

    /// Whether there is a layer with the content of this blob.
    pub(crate) fn has_content(&self, blob: &Digest) -> bool {
        let state = self.0.state();
        let diff = state.diff_of_blob.get(blob);
        diff.is_some_and(|diff| state.layers.values().any(|entry| entry.layer.diff == *diff))
    }

    /// Makes the records of a new layer; `false` when somebody else was faster, whose layer is meant then.
    pub(crate) fn commit_new(&self, lease: &Lease, new: NewLayer<'_>) -> Result<(Layer, bool)> {
        let inner = &self.0;
        let NewLayer { layer, slot, depth, blob } = new;
        let mut state = inner.state();
        if state.layers.contains_key(&layer.chain) {
            lease.hold(&mut state, layer.chain);
            return Ok((layer, false));
        }
        let mut records = state.blobs.get(&layer.diff).cloned().unwrap_or_default();
        // One blob a content is enough.
        if records.is_empty() {
            let path = blob.path.as_ref().ok_or_else(|| Error::NoSuchLayer(layer.diff.to_string()))?;
            let target = inner.paths.blob(&blob.digest);
            fs::rename(path, &target).map_err(|source| Error::io("rename", &target, source))?;
            let media_type = media_type(blob.compression).to_owned();
            let (digest, size) = (blob.digest, blob.size);
            records.push(BlobRecord { digest, source_repository: String::new(), size, media_type });
            write_blob_records(self, layer.diff, &records)?;
            state.blobs.insert(layer.diff, records);
        }
        inner.flusher.announce(&layer.chain)?;
        write_record(self, &layer, &slot.id)?;
        inner.flusher.written(&layer.chain);
        state.diff_of_blob.insert(blob.digest, layer.diff);
        state.layers.insert(layer.chain, LayerEntry { layer: layer.clone(), slot: slot.clone(), depth });
        lease.hold(&mut state, layer.chain);
        Ok((layer, true))
    }

    /// Depth of a new layer on `parent`, which is put under the lease.
    pub(crate) fn depth_above(&self, lease: &Lease, parent: Option<ChainId>) -> Result<usize> {
        let Some(parent) = parent else { return Ok(1) };
        let mut state = self.0.state();
        let depth = state.layers.get(&parent).ok_or_else(|| Error::NoSuchLayer(parent.to_string()))?.depth + 1;
        if depth > MAX_DEPTH {
            return Err(Error::MaxDepth);
        }
        lease.hold(&mut state, parent);
        Ok(depth)
    }

    /// Removes a layer and its parents as far as nothing uses them; the removed ones, topmost first.
    pub(crate) fn collect(&self, top: ChainId) -> Vec<ChainId> {
        let inner = &self.0;
        let collected = {
            let mut state = inner.state();
            let collected = state.collect(top);
            for CollectedLayer { layer, blobs, last, .. } in &collected {
                // The record goes first: what a crash leaves then is swept at the next start.
                let _ = inner.sweeper.take(&[inner.paths.layer_record(&layer.chain)]);
                inner.flusher.gone(&layer.chain);
                if *last {
                    let _ = fs::remove_file(inner.paths.v2metadata(&layer.diff));
                }
                // Under the lock, so that a transfer of the same blob cannot meet its removal.
                for blob in blobs {
                    let _ = fs::remove_file(inner.paths.blob(&blob.digest));
                    let _ = fs::remove_file(inner.paths.diffid_by_digest().join(blob.digest.hex()));
                }
            }
            collected
        };
        for CollectedLayer { directory, .. } in &collected {
            if let Err(error) = inner.driver.remove(&inner.paths, &inner.sweeper, directory) {
                tracing::warn!(layer = directory, %error, "cannot remove a layer's files");
            }
        }
        collected.into_iter().map(|collected| collected.layer.chain).collect()
    }
}

impl State {
    /// Forgets a layer and its parents as far as nothing uses them, topmost first.
    pub(crate) fn collect(&mut self, top: ChainId) -> Vec<CollectedLayer> {
        let mut collected = Vec::new();
        let mut next = Some(top);
        while let Some(chain) = next.take() {
            if !self.is_unused(&chain) {
                break;
            }
            let Some(LayerEntry { layer, slot, .. }) = self.layers.remove(&chain) else { break };
            next = layer.parent;
            let last = !self.layers.values().any(|other| other.layer.diff == layer.diff);
            let blobs = if last { self.blobs.remove(&layer.diff).unwrap_or_default() } else { Vec::new() };
            for blob in &blobs {
                self.diff_of_blob.remove(&blob.digest);
            }
            collected.push(CollectedLayer { layer, directory: slot.id, blobs, last });
        }
        collected
    }
}

/// The record appears whole, by rename.
fn write_record(store: &Store, layer: &Layer, cache_id: &str) -> Result<()> {
    let inner = &store.0;
    let temporary = inner.paths.layer_records_tmp().join(format!("write-{cache_id}"));
    let record = inner.paths.layer_record(&layer.chain);
    let written = (|| {
        driver::make_directory(&temporary, 0o700)?;
        driver::write(&temporary.join("cache-id"), cache_id.as_bytes())?;
        driver::write(&temporary.join("diff"), layer.diff.to_string().as_bytes())?;
        driver::write(&temporary.join("size"), layer.size.to_string().as_bytes())?;
        if let Some(parent) = layer.parent {
            driver::write(&temporary.join("parent"), parent.to_string().as_bytes())?;
        }
        if inner.driver == Driver::Overlay2 {
            driver::write(&inner.paths.layer(cache_id).join("committed"), b"")?;
        }
        fs::rename(&temporary, &record).map_err(|source| Error::io("rename", &record, source))
    })();
    if written.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    written
}

/// Writes what is known about the blobs of a content.
pub(crate) fn write_blob_records(store: &Store, diff: DiffId, records: &[BlobRecord]) -> Result<()> {
    let paths = &store.0.paths;
    let path = paths.v2metadata(&diff);
    let bytes = serde_json::to_vec(records)
        .map_err(|error| Error::Document { what: path.display().to_string(), reason: error.to_string() })?;
    sys::atomic_file::write_atomic(&path, &bytes, 0o644).map_err(|source| Error::io("write", &path, source))?;
    for record in records {
        let path = paths.diffid_by_digest().join(record.digest.hex());
        driver::write(&path, diff.to_string().as_bytes())?;
    }
    Ok(())
}
