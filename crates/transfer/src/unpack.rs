//! Layers into the store, in chain order, each while it and the next ones are still downloading.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use store::{ChainId, DiffId, Expected, Layer, Lease, Store};
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
    Present(ChainId),
    /// Its blob is here; it was unpacked on other parents.
    Kept(std::path::PathBuf),
    /// It is being downloaded.
    Download(Growing),
}

/// Unpacks what is missing; gives the content of all layers, bottom first. They stay under the lease.
pub(crate) fn unpack(
    store: &Store,
    lease: &Lease,
    steps: &[Step],
    progress: &dyn Fn(Progress),
) -> Result<Vec<DiffId>, Error> {
    let mut parent = None;
    let mut diffs = Vec::new();
    for step in steps {
        let layer = step.blob.short();
        let unpacked = match &step.origin {
            Origin::Present(chain) => {
                store.layer(lease, chain).ok_or_else(|| store::Error::NoSuchLayer(chain.to_string()))?
            }
            Origin::Kept(path) => {
                let mut file = File::open(path).map_err(|source| Error::write(path, source))?;
                // The kept blob may be another form of the same content.
                let expected = Expected { blob: None, diff: step.diff };
                store.put_layer(lease, parent, &mut file, &expected).map_err(register)?
            }
            Origin::Download(growing) => match brought(store, lease, growing, step.chain) {
                Some(layer) => layer,
                None => put(store, lease, parent, step, growing, progress)?,
            },
        };
        if !matches!(step.origin, Origin::Present(_)) {
            progress(Progress::PullComplete { layer });
        }
        parent = Some(unpacked.chain);
        diffs.push(unpacked.diff);
    }
    Ok(diffs)
}

/// Another pull has brought the layer while this one waited for its download.
fn brought(store: &Store, lease: &Lease, growing: &Growing, chain: Option<ChainId>) -> Option<Layer> {
    growing.await_begin();
    store.layer(lease, &chain?)
}

fn put(
    store: &Store,
    lease: &Lease,
    parent: Option<ChainId>,
    step: &Step,
    growing: &Growing,
    progress: &dyn Fn(Progress),
) -> Result<Layer, Error> {
    let mut reader = Reporting { inner: growing.follow(), step, progress, current: 0, last: None };
    let expected = Expected { blob: Some(step.blob), diff: step.diff };
    store
        .put_layer_spooled(lease, parent, growing.path(), &mut reader, &expected)
        // What stopped the download says more than what the reader made of it.
        .map_err(|error| growing.take_failure().unwrap_or_else(|| register(error)))
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
