//! Layers into the store: unpacked side by side while they are downloading, and put on top of one another in the end.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use store::{ChainId, DiffId, Layer, Lease, LooseLayer, Store};
use types::Digest;

use crate::growing::Growing;
use crate::{Error, Progress};

const INTERVAL: Duration = Duration::from_millis(100);

/// One layer of the image, bottom first.
pub(crate) struct Step {
    pub(crate) blob: Digest,
    pub(crate) size: u64,
    /// What it has to unpack to, where the manifest tells.
    pub(crate) diff: Option<DiffId>,
    /// Its identity on the layers below, where that is known beforehand.
    pub(crate) chain: Option<ChainId>,
    pub(crate) origin: Origin,
}

/// Where its content comes from.
pub(crate) enum Origin {
    /// It is unpacked already, on the same parents.
    Present,
    /// Its blob is here; it was unpacked on other parents.
    Kept(PathBuf),
    /// It is being downloaded.
    Download(Growing),
}

/// Unpacks one layer on no other; `None` when it is here, perhaps because another pull brought it.
pub(crate) fn unpack(
    store: &Store,
    lease: &Lease,
    step: &Step,
    progress: &dyn Fn(Progress),
) -> Result<Option<LooseLayer>, Error> {
    let growing = match &step.origin {
        Origin::Present => return Ok(None),
        // The kept blob may be another form of the same content.
        Origin::Kept(path) => return store.unpack_kept(path, step.diff).map(Some).map_err(register),
        Origin::Download(growing) => growing,
    };
    growing.await_begin();
    if step.chain.is_some_and(|chain| store.layer(lease, &chain).is_some()) {
        return Ok(None);
    }
    let mut reader = Reporting { inner: growing.follow(), step, progress, current: 0, last: None };
    let loose = store.unpack_spooled(growing.path(), &mut reader, step.blob, step.diff);
    // What stopped the download says more than what the reader made of it.
    loose.map(Some).map_err(|error| growing.take_failure().unwrap_or_else(|| register(error)))
}

/// Puts a layer in its place on those below.
pub(crate) fn place(
    store: &Store,
    lease: &Lease,
    parent: Option<ChainId>,
    step: &Step,
    loose: Option<LooseLayer>,
    progress: &dyn Fn(Progress),
) -> Result<Layer, Error> {
    let placed = match loose {
        Some(loose) => store.place_layer(lease, parent, loose).map_err(register)?,
        None => {
            let missing = || store::Error::NoSuchLayer(step.blob.to_string());
            step.chain.and_then(|chain| store.layer(lease, &chain)).ok_or_else(missing)?
        }
    };
    if !matches!(step.origin, Origin::Present) {
        progress(Progress::PullComplete { layer: step.blob.short() });
    }
    Ok(placed)
}

fn register(error: store::Error) -> Error {
    match error {
        store::Error::LayerVerification(digest) => Error::Verification(digest),
        store::Error::DiffId { expected, .. } => Error::Verification(expected.0),
        error => Error::Layer(error),
    }
}

/// Reports how much of a blob has been unpacked.
struct Reporting<'a, R> {
    inner: R,
    step: &'a Step,
    progress: &'a dyn Fn(Progress),
    current: u64,
    last: Option<Instant>,
}

impl<R: Read> Read for Reporting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.current += count as u64;
        if count == 0 || self.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            self.last = Some(Instant::now());
            let layer = self.step.blob.short();
            (self.progress)(Progress::Extracting { layer, current: self.current, total: self.step.size });
        }
        Ok(count)
    }
}
