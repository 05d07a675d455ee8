//! The layers of an image into the store: what is missing is downloaded, several at a time, and unpacked meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;

use store::{DiffId, ImageConfig, Lease, LooseLayer, Scratch, Store};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use types::Digest;

use crate::config::Registries;
use crate::download::Source;
use crate::growing::{Growing, Writer};
use crate::manifest::{Descriptor, Manifest};
use crate::pull::blocking;
use crate::registry::Registry;
use crate::schema1::Schema1;
use crate::unpack::{Origin, Step, place, unpack};
use crate::{Error, Progress};

/// More layers unpacked at a time would take memory, and keep no more processors busy: each has two threads.
const MOST_UNPACKED: usize = 4;

/// What has to happen for the layers of an image.
pub(crate) struct Plan {
    steps: Vec<Step>,
    downloads: Vec<(Descriptor, Writer)>,
    scratch: Scratch,
}

impl Plan {
    /// Decides for each layer where it comes from, and says so.
    pub(crate) fn of(
        store: &Store,
        lease: &Lease,
        manifest: &Manifest,
        config: &[u8],
        progress: &impl Fn(Progress),
    ) -> Result<Self, Error> {
        let url = manifest.config.digest.to_string();
        let invalid = |reason: String| Error::Answer { url: url.clone(), reason };
        let document: ImageConfig = serde_json::from_slice(config).map_err(|error| invalid(error.to_string()))?;
        let diffs = document.rootfs.diff_ids;
        if diffs.len() != manifest.layers.len() {
            return Err(invalid("layers from manifest don't match image configuration".to_owned()));
        }
        let mut plan = Self { steps: Vec::new(), downloads: Vec::new(), scratch: store.scratch("pull")? };
        let chains = store::chain_ids(&diffs);
        for (descriptor, (diff, chain)) in manifest.layers.iter().zip(diffs.into_iter().zip(chains)) {
            let layer = descriptor.digest.short();
            let origin = if store.layer(lease, &chain).is_some() {
                progress(Progress::AlreadyExists { layer });
                Origin::Present
            } else if let Some(blob) = store.kept_blob(lease, &diff) {
                progress(Progress::PullingFsLayer { layer });
                Origin::Kept(blob.path)
            } else {
                progress(Progress::PullingFsLayer { layer });
                plan.download(descriptor.clone())
            };
            let (blob, size) = (descriptor.digest, descriptor.size);
            plan.steps.push(Step { blob, size, diff: Some(diff), chain: Some(chain), origin });
        }
        Ok(plan)
    }

    /// As [`Self::of`], of a manifest that does not tell what its blobs unpack to: the store may know.
    pub(crate) fn of_schema1(
        store: &Store,
        lease: &Lease,
        image: &Schema1,
        progress: &impl Fn(Progress),
    ) -> Result<Self, Error> {
        let mut plan = Self { steps: Vec::new(), downloads: Vec::new(), scratch: store.scratch("pull")? };
        let mut below: Option<Vec<DiffId>> = Some(Vec::new());
        for blob in &image.blobs {
            let layer = blob.short();
            let diff = store.diff_of_blob(blob);
            below = below.zip(diff).map(|(mut below, diff)| {
                below.push(diff);
                below
            });
            let chain = below.as_ref().and_then(|diffs| store::chain_ids(diffs).pop());
            let origin = match chain.filter(|chain| store.layer(lease, chain).is_some()) {
                Some(_) => {
                    progress(Progress::AlreadyExists { layer });
                    Origin::Present
                }
                None => {
                    progress(Progress::PullingFsLayer { layer });
                    plan.download(Descriptor::of(*blob))
                }
            };
            plan.steps.push(Step { blob: *blob, size: 0, diff, chain, origin });
        }
        Ok(plan)
    }

    fn download(&mut self, descriptor: Descriptor) -> Origin {
        let path = self.scratch.path().join(self.downloads.len().to_string());
        let (growing, writer) = Growing::new(path);
        self.downloads.push((descriptor, writer));
        Origin::Download(growing)
    }

    /// Downloads and unpacks, under the lease; gives the configuration that `document` makes for the content of the
    /// layers. What arrived of a download that broke is kept for the next pull.
    pub(crate) async fn carry_out(
        self,
        lease: &Arc<Lease>,
        from: (&Store, &Registry, &Registries),
        document: impl FnOnce(&[DiffId]) -> Result<Vec<u8>, Error>,
        progress: &(impl Fn(Progress) + Send + Sync + Clone + 'static),
    ) -> Result<Vec<u8>, Error> {
        let Self { steps, downloads, scratch } = self;
        let (store, registry, registries) = from;
        let source = Source { store: store.clone(), registry: registry.clone(), attempts: registries.attempts.max(1) };
        let blobs: Vec<Digest> = downloads.iter().map(|(descriptor, _)| descriptor.digest).collect();
        // Dropped with this future: then the downloads stop, and with them the unpacking.
        let mut tasks = spawn(source, downloads, registries.downloads.max(1), progress);
        let mut unpacking = Unpacking::begin(store, lease, steps, scratch, progress);
        let done = match unpacking.place_all(store, lease, progress).await {
            Ok(diffs) => {
                forget(store, &blobs);
                document(&diffs)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &done {
            tasks.shutdown().await;
            unpacking.end().await;
            match error.is_interruption() {
                true => store.sweep_partials(),
                false => forget(store, &blobs),
            }
        }
        done
    }
}

/// What a thread has unpacked: which of the steps, the step, and nothing when the layer is here.
type Unpacked = Result<(usize, Step, Option<LooseLayer>), Error>;

/// The threads that unpack the layers of an image.
struct Unpacking {
    /// What starts the threads, one after the other as there are places. Dropped with this value, and then no more start.
    _starter: JoinSet<()>,
    /// Closed when the last thread has ended.
    results: mpsc::UnboundedReceiver<Unpacked>,
    /// Layers in all.
    count: usize,
    /// Nobody wants the rest any more.
    stopped: Arc<AtomicBool>,
    /// The files, which stay until the last layer has its place and the last thread has ended.
    _scratch: Arc<Scratch>,
}

impl Unpacking {
    /// Begins with all layers, so many at a time, from the bottom: so do the downloads, and none of them waits for a layer
    /// to be unpacked.
    fn begin(
        store: &Store,
        lease: &Arc<Lease>,
        steps: Vec<Step>,
        scratch: Scratch,
        progress: &(impl Fn(Progress) + Send + Sync + Clone + 'static),
    ) -> Self {
        let processors = available_parallelism().map_or(2, usize::from);
        let slots = Arc::new(Semaphore::new(processors.clamp(2, MOST_UNPACKED)));
        let scratch = Arc::new(scratch);
        let stopped = Arc::new(AtomicBool::new(false));
        let (count, (sender, results)) = (steps.len(), mpsc::unbounded_channel());
        let (store, lease, progress) = (store.clone(), Arc::clone(lease), progress.clone());
        let (files, ended) = (Arc::clone(&scratch), Arc::clone(&stopped));
        let mut starter = JoinSet::new();
        starter.spawn(async move {
            for (number, step) in steps.into_iter().enumerate() {
                // The semaphore is never closed.
                let permit = Arc::clone(&slots).acquire_owned().await;
                let (store, lease, progress) = (store.clone(), Arc::clone(&lease), progress.clone());
                let (sender, files, ended) = (sender.clone(), Arc::clone(&files), Arc::clone(&ended));
                tokio::task::spawn_blocking(move || {
                    let _kept = (permit, files);
                    let unpacked = match ended.load(Ordering::Relaxed) {
                        true => Err(Error::Canceled),
                        false => unpack(&store, &lease, &step, &progress).map(|loose| (number, step, loose)),
                    };
                    // Nobody waits for it any more.
                    drop(sender.send(unpacked));
                });
            }
        });
        Self { _starter: starter, results, count, stopped, _scratch: scratch }
    }

    /// Puts the layers on top of one another as they come; gives the content of all, bottom first. The first failure
    /// is the result, whichever layer it is about.
    async fn place_all(
        &mut self,
        store: &Store,
        lease: &Arc<Lease>,
        progress: &(impl Fn(Progress) + Send + Sync + Clone + 'static),
    ) -> Result<Vec<DiffId>, Error> {
        let mut early = BTreeMap::new();
        let mut diffs = Vec::new();
        let mut parent = None;
        while let Some(unpacked) = self.results.recv().await {
            let (number, step, loose) = unpacked?;
            early.insert(number, (step, loose));
            while let Some((step, loose)) = early.remove(&diffs.len()) {
                let (store, lease, progress) = (store.clone(), Arc::clone(lease), progress.clone());
                let placed = blocking(move || place(&store, &lease, parent, &step, loose, &progress)).await?;
                parent = Some(placed.chain);
                diffs.push(placed.diff);
            }
        }
        // Fewer only when a thread has died.
        if diffs.len() == self.count { Ok(diffs) } else { Err(Error::Canceled) }
    }

    /// Waits until nobody is at work any more: then nothing of it is left on the disk.
    async fn end(mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        while self.results.recv().await.is_some() {}
    }
}

/// Begins the downloads, so many at a time.
fn spawn(
    source: Source,
    downloads: Vec<(Descriptor, Writer)>,
    parallel: usize,
    progress: &(impl Fn(Progress) + Send + Sync + Clone + 'static),
) -> JoinSet<()> {
    let slots = Arc::new(Semaphore::new(parallel));
    let mut tasks = JoinSet::new();
    for (number, (descriptor, writer)) in downloads.into_iter().enumerate() {
        if number >= parallel {
            progress(Progress::Waiting { layer: descriptor.digest.short() });
        }
        let (source, progress, slots) = (source.clone(), progress.clone(), Arc::clone(&slots));
        tasks.spawn(async move {
            // The semaphore is never closed. Permits go in order, so the bottom layers come first.
            let _permit = slots.acquire_owned().await;
            writer.download(&source, &descriptor, &progress).await;
        });
    }
    tasks
}

fn forget(store: &Store, blobs: &[Digest]) {
    for blob in blobs {
        store.forget_partial(blob);
    }
}
