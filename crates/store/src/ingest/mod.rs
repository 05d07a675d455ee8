//! Layers on their way in. A layer is unpacked and verified before it is known what it lies on: so the layers of an
//! image are unpacked side by side, and those of an archive while it arrives.

mod pipe;
mod place;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use types::Digest;

use crate::driver::{self, Driver, Slot};
use crate::layers::BlobFile;
use crate::stream::{Compression, HashingReader, TeeReader, decompress, drain, stream_error};
use crate::sweep::Sweeper;
use crate::unfinished::Mark;
use crate::unpack::{Target, Tree, Whiteouts, unpack};
use crate::{ChainId, DiffId, Error, Expected, Layer, Lease, Result, Store};

/// Where the bytes of a layer are while it is unpacked.
pub(crate) enum Source<'a> {
    /// A stream; it is copied to the blob on its way.
    Stream(&'a mut dyn Read),
    /// A file of ours on the same file system; it becomes the blob.
    File(PathBuf),
    /// A file of ours that is written by this very reader; it becomes the blob.
    Passing(PathBuf, &'a mut dyn Read),
    /// A blob that is kept already and stays.
    Kept(PathBuf),
    /// A file that becomes the blob, perhaps still being written. The reader gives all of its content and waits for
    /// what is missing; it ends in an error unless the content has this digest.
    Spooled(PathBuf, &'a mut dyn Read, Digest),
}

/// A layer that lies on nothing yet: unpacked and verified. It is gone when it is dropped.
#[derive(Debug)]
pub struct LooseLayer {
    store: Store,
    slot: Slot,
    blob: BlobFile,
    diff: DiffId,
    tree: Tree,
    /// Not unpacked yet: with vfs that takes a copy of the parent.
    pending: Option<Whiteouts>,
    /// A copy of the blob that is ours to remove.
    ingest: PathBuf,
    _marks: [Mark; 2],
    is_placed: bool,
}

impl Store {
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

    /// Unpacks a layer whose bytes are in, or on their way to, a file in a [`crate::Scratch`] directory, which becomes
    /// the blob. `reader` gives all of the file's content and waits for what is still missing; it must end in an error
    /// unless that content has the digest `blob`.
    ///
    /// # Errors
    /// As [`Store::put_layer`].
    pub fn unpack_spooled(
        &self,
        file: &Path,
        reader: &mut dyn Read,
        blob: Digest,
        diff: Option<DiffId>,
    ) -> Result<LooseLayer> {
        let expected = Expected { blob: None, diff };
        self.unpack_layer(Source::Spooled(file.to_owned(), reader, blob), &expected, Whiteouts::Overlay)
    }

    /// Unpacks once more a layer that is here on other parents.
    ///
    /// # Errors
    /// As [`Store::put_layer`].
    pub fn unpack_kept(&self, blob: &Path, diff: Option<DiffId>) -> Result<LooseLayer> {
        let expected = Expected { blob: None, diff };
        self.unpack_layer(Source::Kept(blob.to_owned()), &expected, Whiteouts::Overlay)
    }

    pub(crate) fn put_layer_from(
        &self,
        lease: &Lease,
        parent: Option<ChainId>,
        source: Source<'_>,
        expected: &Expected,
        whiteouts: Whiteouts,
    ) -> Result<Layer> {
        // Before the work: what is too high, or lies on nothing, need not be unpacked.
        self.depth_above(lease, parent)?;
        let loose = self.unpack_layer(source, expected, whiteouts)?;
        self.place_layer(lease, parent, loose)
    }

    /// Unpacks a layer that is not said to lie on anything.
    pub(crate) fn unpack_layer(
        &self,
        source: Source<'_>,
        expected: &Expected,
        whiteouts: Whiteouts,
    ) -> Result<LooseLayer> {
        let work = Work::begin(self)?;
        let Unpacked { blob, diff, tree } = work.unpack(source, expected, whiteouts)?;
        let pending = (self.0.driver == Driver::Vfs).then_some(whiteouts);
        let (slot, ingest, marks) = work.finish()?;
        Ok(LooseLayer { store: self.clone(), slot, blob, diff, tree, pending, ingest, _marks: marks, is_placed: false })
    }
}

impl LooseLayer {
    /// Checks it against what is said about it, once that is known.
    ///
    /// # Errors
    /// [`Error::LayerVerification`], [`Error::DiffId`].
    pub(crate) fn check(&self, expected: &Expected) -> Result<()> {
        if let Some(wanted) = expected.blob.filter(|wanted| *wanted != self.blob.digest) {
            return Err(Error::LayerVerification(wanted));
        }
        check_diff(expected, self.diff)
    }
}

impl Drop for LooseLayer {
    fn drop(&mut self) {
        discard(&self.store, &self.slot, &self.ingest, !self.is_placed);
    }
}

fn discard(store: &Store, slot: &Slot, ingest: &Path, directory: bool) {
    let inner = &store.0;
    let _ = fs::remove_file(ingest);
    if directory && let Err(error) = inner.driver.remove(&inner.paths, &inner.sweeper, &slot.id) {
        tracing::warn!(layer = slot.id, %error, "cannot remove an unfinished layer");
    }
}

/// What unpacking a layer has established.
struct Unpacked {
    blob: BlobFile,
    diff: DiffId,
    tree: Tree,
}

/// A layer directory under construction; removed on drop unless finished.
struct Work<'a> {
    store: &'a Store,
    slot: Slot,
    /// Where a copy of the stream goes.
    ingest: PathBuf,
    /// `None` when it is finished.
    marks: Option<[Mark; 2]>,
}

impl<'a> Work<'a> {
    fn begin(store: &'a Store) -> Result<Self> {
        let inner = &store.0;
        let id = driver::random_id();
        let ingest = inner.paths.tmp().join(format!("ingest-{}", &id[..16]));
        let slot = Slot { id: id.clone(), ..Slot::default() };
        let marks = [inner.unfinished.mark(&inner.paths.layer(&id)), inner.unfinished.mark(&ingest)];
        let mut work = Self { store, slot, ingest, marks: Some(marks) };
        work.slot = inner.driver.make(&inner.paths, &id, String::new())?;
        Ok(work)
    }

    fn unpack(&self, source: Source<'_>, expected: &Expected, whiteouts: Whiteouts) -> Result<Unpacked> {
        let open = |path: &Path| File::open(path).map_err(|source| Error::io("open", path, source));
        match source {
            Source::Stream(reader) => {
                let file = File::create(&self.ingest).map_err(|source| Error::io("create", &self.ingest, source))?;
                let tee = TeeReader { inner: reader, copy: (file, self.ingest.clone()) };
                self.verified(tee, Some(self.ingest.clone()), expected, whiteouts)
            }
            Source::Passing(path, reader) => self.verified(reader, Some(path), expected, whiteouts),
            Source::File(path) => self.verified(open(&path)?, Some(path), expected, whiteouts),
            Source::Kept(path) => self.verified(open(&path)?, None, expected, whiteouts),
            Source::Spooled(path, mut reader, digest) => {
                let attempt = self.plain(&mut reader, whiteouts);
                if attempt.is_err() {
                    // What is wrong with the content as a whole is the better explanation.
                    drain(&mut reader).map_err(stream_error)?;
                }
                let (compression, diff, tree) = attempt?;
                drain(&mut reader).map_err(stream_error)?;
                let diff = diff.unwrap_or(DiffId(digest));
                let size = fs::metadata(&path).map_err(|source| Error::io("stat", &path, source))?.len();
                check_diff(expected, diff)?;
                Ok(Unpacked { blob: BlobFile { path: Some(path), digest, size, compression }, diff, tree })
            }
        }
    }

    /// Unpacks bytes whose digest nobody else verifies.
    fn verified(
        &self,
        reader: impl Read,
        path: Option<PathBuf>,
        expected: &Expected,
        whiteouts: Whiteouts,
    ) -> Result<Unpacked> {
        let (mut raw, hash) = HashingReader::new(reader);
        let attempt = self.plain(&mut raw, whiteouts);
        if let Err(error @ Error::NoSpace { .. }) = attempt {
            return Err(error);
        }
        // Also after a failure: content that is not what its digest says is the better explanation then.
        drain(&mut raw).map_err(stream_error)?;
        let digest = hash.digest();
        if let Some(wanted) = expected.blob.filter(|wanted| *wanted != digest) {
            return Err(Error::LayerVerification(wanted));
        }
        let (compression, diff, tree) = attempt?;
        let diff = diff.unwrap_or(DiffId(digest));
        check_diff(expected, diff)?;
        Ok(Unpacked { blob: BlobFile { path, digest, size: hash.bytes(), compression }, diff, tree })
    }

    /// Undoes compression, and unpacks what comes out. Without compression the content has the digest of the stream.
    fn plain(&self, raw: &mut dyn Read, whiteouts: Whiteouts) -> Result<(Compression, Option<DiffId>, Tree)> {
        let inner = &self.store.0;
        let (compression, mut plain) = decompress(raw)?;
        let directory = inner.driver.diff(&inner.paths, &self.slot.id);
        // Freeing the blocks of what went before would slow down what comes.
        let mut plain = Busy { inner: &mut plain, sweeper: &inner.sweeper };
        let (diff, tree) = pipe::piped(&mut plain, |plain| {
            let use_all = |plain: &mut dyn Read| -> Result<Tree> {
                let tree = match inner.driver {
                    Driver::Overlay2 => unpack(plain, &Target { directory: &directory, whiteouts })?,
                    Driver::Vfs => Tree::default(),
                };
                drain(plain).map_err(stream_error)?;
                Ok(tree)
            };
            if compression == Compression::None {
                return Ok((None, use_all(plain)?));
            }
            let (mut plain, hash) = HashingReader::new(plain);
            let tree = use_all(&mut plain)?;
            Ok((Some(DiffId(hash.digest())), tree))
        })?;
        Ok((compression, diff, tree))
    }

    fn finish(mut self) -> Result<(Slot, PathBuf, [Mark; 2])> {
        let marks = self.marks.take().ok_or_else(|| Error::NoSuchLayer(self.slot.id.clone()))?;
        Ok((std::mem::take(&mut self.slot), std::mem::take(&mut self.ingest), marks))
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if self.marks.is_some() {
            discard(self.store, &self.slot, &self.ingest, true);
        }
    }
}

/// Holds back the removal of directories while it is read.
struct Busy<'a> {
    inner: &'a mut dyn Read,
    sweeper: &'a Sweeper,
}

impl Read for Busy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.sweeper.yield_to_others();
        self.inner.read(buffer)
    }
}

fn check_diff(expected: &Expected, found: DiffId) -> Result<()> {
    match expected.diff.filter(|wanted| *wanted != found) {
        Some(expected) => Err(Error::DiffId { index: 0, expected, found }),
        None => Ok(()),
    }
}
