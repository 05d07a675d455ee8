//! Image layers: unpacked once, verified, shared.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use types::Digest;

use crate::driver::{self, Driver, Slot};
use crate::records::child_chain;
use crate::state::{BlobRecord, LayerEntry};
use crate::stream::{Compression, HashingReader, TeeReader, decompress, drain, stream_error};
use crate::unfinished::Mark;
use crate::unpack::{Target, Whiteouts, unpack};
use crate::{BlobInfo, ChainId, DiffId, Error, Expected, Layer, Lease, Result, Store};

/// As many as overlay mounts take together with the container's own two (Docker's limit).
const MAX_DEPTH: usize = 125;

/// Where the bytes of a layer are while it is unpacked.
pub(crate) enum Source<'a> {
    /// A stream; it is copied to the blob on its way.
    Stream(&'a mut dyn Read),
    /// A file of ours on the same file system; it becomes the blob.
    File(PathBuf),
    /// The same, read by somebody who knows when it is complete.
    Spooled(PathBuf, &'a mut dyn Read),
}

/// What unpacking a layer has established.
struct Unpacked {
    blob: Digest,
    blob_size: u64,
    diff: DiffId,
    size: u64,
    compression: Compression,
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

    /// Unpacks a layer (tar, gzip or zstd) on top of `parent` while its digests are verified, and keeps the
    /// stream as a blob. Nothing is left behind on failure.
    ///
    /// # Errors
    /// [`Error::LayerVerification`], [`Error::MaxDepth`], [`Error::Archive`], [`Error::NoSuchLayer`] or the file
    /// system's refusal.
    pub fn put_layer(
        &self,
        lease: &Lease,
        parent: Option<ChainId>,
        reader: &mut dyn Read,
        expected: &Expected,
    ) -> Result<Layer> {
        self.put_layer_from(lease, parent, Source::Stream(reader), expected, Whiteouts::Overlay)
    }

    /// As [`Store::put_layer`], with the bytes already in, or on their way to, a file in a [`crate::Scratch`]
    /// directory: `reader` gives all of the file's content and waits for what is still missing. The file
    /// becomes the blob.
    ///
    /// # Errors
    /// As [`Store::put_layer`].
    pub fn put_layer_spooled(
        &self,
        lease: &Lease,
        parent: Option<ChainId>,
        file: &Path,
        reader: &mut dyn Read,
        expected: &Expected,
    ) -> Result<Layer> {
        let source = Source::Spooled(file.to_owned(), reader);
        self.put_layer_from(lease, parent, source, expected, Whiteouts::Overlay)
    }

    pub(crate) fn put_layer_from(
        &self,
        lease: &Lease,
        parent: Option<ChainId>,
        source: Source<'_>,
        expected: &Expected,
        whiteouts: Whiteouts,
    ) -> Result<Layer> {
        let depth = self.depth_above(lease, parent)?;
        let work = Work::begin(self, parent)?;
        let (blob_path, unpacked) = work.unpack(source, expected, whiteouts)?;
        work.commit(lease, depth, parent, &blob_path, unpacked)
    }

    /// Depth of a new layer on `parent`, which is put under the lease.
    fn depth_above(&self, lease: &Lease, parent: Option<ChainId>) -> Result<usize> {
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
        let mut removed = Vec::new();
        let mut next = Some(top);
        let mut directories = Vec::new();
        let mut blobs = Vec::new();
        {
            let mut state = inner.state();
            while let Some(chain) = next.take() {
                if !state.is_unused(&chain) {
                    break;
                }
                let Some(entry) = state.layers.remove(&chain) else { break };
                next = entry.layer.parent;
                // The record goes first: what a crash leaves then is swept at the next start.
                let _ = inner.sweeper.take(&[inner.paths.layer_record(&chain)]);
                let diff = entry.layer.diff;
                if !state.layers.values().any(|other| other.layer.diff == diff) {
                    for record in state.blobs.remove(&diff).unwrap_or_default() {
                        state.diff_of_blob.remove(&record.digest);
                        blobs.push(record.digest);
                    }
                    let _ = fs::remove_file(inner.paths.v2metadata(&diff));
                }
                directories.push(entry.slot.id);
                removed.push(chain);
            }
            // Under the lock, so that a transfer of the same blob cannot meet its removal.
            for blob in blobs {
                let _ = fs::remove_file(inner.paths.blob(&blob));
                let _ = fs::remove_file(inner.paths.diffid_by_digest().join(blob.hex()));
            }
        }
        for id in directories {
            if let Err(error) = inner.driver.remove(&inner.paths, &inner.sweeper, &id) {
                tracing::warn!(layer = id, %error, "cannot remove a layer's files");
            }
        }
        removed
    }
}

/// A layer directory under construction; removed on drop unless committed.
struct Work<'a> {
    store: &'a Store,
    slot: Slot,
    lowers: Vec<PathBuf>,
    /// The blob's temporary file, when it is ours to remove.
    ingest: PathBuf,
    _marks: [Mark; 2],
    committed: bool,
}

impl<'a> Work<'a> {
    fn begin(store: &'a Store, parent: Option<ChainId>) -> Result<Self> {
        let inner = &store.0;
        let below = inner.state().slots_below(parent);
        let id = driver::random_id();
        let lower = below.first().map(Slot::lower_of_child).unwrap_or_default();
        let ingest = inner.paths.tmp().join(format!("ingest-{}", &id[..16]));
        let marks = [inner.unfinished.mark(&inner.paths.layer(&id)), inner.unfinished.mark(&ingest)];
        let mut work = Self {
            store,
            slot: Slot { id: id.clone(), ..Slot::default() },
            lowers: Vec::new(),
            ingest,
            _marks: marks,
            committed: false,
        };
        work.slot = inner.driver.make(&inner.paths, &id, lower)?;
        if inner.driver == Driver::Vfs {
            if let Some(parent) = below.first() {
                crate::copy::copy_tree(&inner.paths.layer(&parent.id), &inner.paths.layer(&id))?;
            }
        } else {
            work.lowers = below.iter().map(|slot| inner.driver.diff(&inner.paths, &slot.id)).collect();
        }
        Ok(work)
    }

    /// Returns where the blob is and what it is.
    fn unpack(&self, source: Source<'_>, expected: &Expected, whiteouts: Whiteouts) -> Result<(PathBuf, Unpacked)> {
        match source {
            Source::Stream(reader) => {
                let file = File::create(&self.ingest).map_err(|source| Error::io("create", &self.ingest, source))?;
                let unpacked = self.unpack_stream(reader, Some(file), expected, whiteouts)?;
                Ok((self.ingest.clone(), unpacked))
            }
            Source::Spooled(path, reader) => {
                let unpacked = self.unpack_stream(reader, None, expected, whiteouts)?;
                Ok((path, unpacked))
            }
            Source::File(path) => {
                let mut file = File::open(&path).map_err(|source| Error::io("open", &path, source))?;
                let unpacked = self.unpack_stream(&mut file, None, expected, whiteouts)?;
                Ok((path, unpacked))
            }
        }
    }

    fn unpack_stream(
        &self,
        reader: &mut dyn Read,
        copy: Option<File>,
        expected: &Expected,
        whiteouts: Whiteouts,
    ) -> Result<Unpacked> {
        let tee = TeeReader { inner: reader, copy: copy.map(|file| (file, self.ingest.clone())) };
        let (mut raw, blob) = HashingReader::new(tee);
        let whiteouts = match (whiteouts, self.store.0.driver) {
            (Whiteouts::Overlay, Driver::Vfs) => Whiteouts::Apply,
            (whiteouts, _) => whiteouts,
        };
        let directory = self.store.0.driver.diff(&self.store.0.paths, &self.slot.id);
        let target = Target { directory: &directory, lowers: &self.lowers, whiteouts };
        let attempt = (|| {
            let (compression, plain) = decompress(&mut raw)?;
            let (mut plain, diff) = HashingReader::new(plain);
            let size = unpack(&mut plain, &target)?;
            drain(&mut plain).map_err(stream_error)?;
            Ok((compression, DiffId(diff.digest()), size))
        })();
        if let Err(error @ Error::NoSpace { .. }) = attempt {
            return Err(error);
        }
        // Also after a failure: content that is not what its digest says is the better explanation then.
        drain(&mut raw).map_err(stream_error)?;
        if let Some(wanted) = expected.blob.filter(|wanted| *wanted != blob.digest()) {
            return Err(Error::LayerVerification(wanted));
        }
        let (compression, diff, size) = attempt?;
        if let Some(wanted) = expected.diff.filter(|wanted| *wanted != diff) {
            return Err(Error::DiffId { index: 0, expected: wanted, found: diff });
        }
        Ok(Unpacked { blob: blob.digest(), blob_size: blob.bytes(), diff, size, compression })
    }

    fn commit(
        mut self,
        lease: &Lease,
        depth: usize,
        parent: Option<ChainId>,
        blob_path: &Path,
        unpacked: Unpacked,
    ) -> Result<Layer> {
        let inner = &self.store.0;
        let Unpacked { blob, blob_size, diff, size, compression } = unpacked;
        let layer = Layer { chain: child_chain(parent, diff), diff, parent, size };
        let mut state = inner.state();
        if state.layers.contains_key(&layer.chain) {
            // Somebody else was faster; our copy goes with `self`.
            lease.hold(&mut state, layer.chain);
            return Ok(layer);
        }
        write_record(self.store, &layer, &self.slot.id)?;
        let target = inner.paths.blob(&blob);
        let mut records = state.blobs.get(&diff).cloned().unwrap_or_default();
        // One blob a content is enough.
        if records.is_empty() {
            fs::rename(blob_path, &target).map_err(|source| Error::io("rename", &target, source))?;
            let media_type = compression.media_type().to_owned();
            records.push(BlobRecord { digest: blob, source_repository: String::new(), size: blob_size, media_type });
            write_blob_records(self.store, diff, &records)?;
            state.blobs.insert(diff, records);
        }
        state.diff_of_blob.insert(blob, diff);
        state.layers.insert(layer.chain, LayerEntry { layer: layer.clone(), slot: self.slot.clone(), depth });
        lease.hold(&mut state, layer.chain);
        self.committed = true;
        Ok(layer)
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        let inner = &self.store.0;
        let _ = fs::remove_file(&self.ingest);
        if !self.committed
            && let Err(error) = inner.driver.remove(&inner.paths, &inner.sweeper, &self.slot.id)
        {
            tracing::warn!(layer = self.slot.id, %error, "cannot remove an unfinished layer");
        }
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
