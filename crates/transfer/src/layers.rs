//! The layers of an image into the store: what is missing is downloaded, several at a time, and unpacked meanwhile.

use std::sync::Arc;

use store::{DiffId, ImageConfig, Lease, Scratch, Store};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use types::Digest;

use crate::config::Registries;
use crate::download::Source;
use crate::growing::{Growing, Writer};
use crate::manifest::{Descriptor, Manifest};
use crate::pull::blocking;
use crate::registry::Registry;
use crate::schema1::Schema1;
use crate::unpack::{Origin, Step, unpack};
use crate::{Error, Progress};

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
            let kept = || store.blob_of_diff(&diff).map(|blob| blob.path);
            let origin = if store.layer(lease, &chain).is_some() {
                progress(Progress::AlreadyExists { layer });
                Origin::Present(chain)
            } else if let Some(path) = kept() {
                progress(Progress::PullingFsLayer { layer });
                Origin::Kept(path)
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
                Some(chain) => {
                    progress(Progress::AlreadyExists { layer });
                    Origin::Present(chain)
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

    /// Downloads and unpacks, and registers the image with the configuration that `document` gives for the content of
    /// the layers, which it gives back. What arrived of a download that broke is kept for the next pull.
    pub(crate) async fn carry_out(
        self,
        lease: &Arc<Lease>,
        from: (&Store, &Registry, &Registries),
        document: impl FnOnce(&[DiffId]) -> Result<Vec<u8>, Error> + Send + 'static,
        progress: &(impl Fn(Progress) + Send + Sync + Clone + 'static),
    ) -> Result<Vec<u8>, Error> {
        let Self { steps, downloads, scratch } = self;
        let (store, registry, registries) = from;
        let source = Source { store: store.clone(), registry: registry.clone(), attempts: registries.attempts.max(1) };
        let blobs: Vec<Digest> = downloads.iter().map(|(descriptor, _)| descriptor.digest).collect();
        // Dropped with this future: then the downloads stop, and with them the unpacking.
        let mut tasks = spawn(source, downloads, registries.downloads.max(1), progress);
        let (own, progress, arrived) = (store.clone(), progress.clone(), blobs.clone());
        let lease = Arc::clone(lease);
        let done = blocking(move || {
            let _scratch = scratch;
            let diffs = unpack(&own, &lease, &steps, &progress)?;
            let config = document(&diffs)?;
            own.put_image(&lease, &config, None)?;
            arrived.iter().for_each(|blob| own.forget_partial(blob));
            Ok(config)
        })
        .await;
        if let Err(error) = &done {
            tasks.shutdown().await;
            match error.is_interruption() {
                true => store.sweep_partials(),
                false => blobs.iter().for_each(|blob| store.forget_partial(blob)),
            }
        }
        done
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
