//! `docker pull`.

use std::sync::Arc;

use store::{ImageConfig, ImageId, Lease, Scratch, Store};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use types::{Digest, Platform, Reference};

use crate::download::{Growing, Writer};
use crate::manifest::{Descriptor, Manifest};
use crate::registry::Registry;
use crate::unpack::{Origin, Step, unpack};
use crate::{Credentials, Error, fetch, manifest};

/// Docker's default for downloads at a time.
const PARALLEL_DOWNLOADS: usize = 3;

/// What to pull and how.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The image; without tag or digest it is `latest`.
    pub reference: Reference,
    /// The machine it has to run on; `None` is this one.
    pub platform: Option<Platform>,
    /// For the registry, when the client sent any.
    pub credentials: Option<Credentials>,
    /// Registries (`host:port` or CIDR) that may be spoken to in plain HTTP, besides the loopback ones.
    pub insecure_registries: Vec<String>,
}

/// One step of a pull, in the order Docker shows them. `layer` is the first 12 digits of the blob's digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// `latest: Pulling from library/busybox`.
    PullingFrom {
        /// The tag or digest.
        id: String,
        /// The repository's path on its registry.
        repository: String,
    },
    /// `Pulling fs layer`.
    PullingFsLayer {
        /// The blob.
        layer: String,
    },
    /// `Already exists`.
    AlreadyExists {
        /// The blob.
        layer: String,
    },
    /// `Waiting`.
    Waiting {
        /// The blob.
        layer: String,
    },
    /// `Downloading`.
    Downloading {
        /// The blob.
        layer: String,
        /// Bytes so far.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
    /// `Verifying Checksum`.
    VerifyingChecksum {
        /// The blob.
        layer: String,
    },
    /// `Download complete`.
    DownloadComplete {
        /// The blob.
        layer: String,
    },
    /// `Extracting`.
    Extracting {
        /// The blob.
        layer: String,
        /// Bytes of the blob unpacked so far.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
    /// `Pull complete`.
    PullComplete {
        /// The blob.
        layer: String,
    },
    /// `Digest: sha256:…`.
    Digest(Digest),
    /// `Status: Downloaded newer image for busybox:latest` or `Status: Image is up to date for busybox:latest`.
    Status {
        /// The reference as people write it.
        reference: String,
        /// Something was downloaded.
        newer: bool,
    },
}

/// A pulled image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The image.
    pub id: ImageId,
    /// Digest of the manifest (or index) that the registry answered for the reference.
    pub digest: Digest,
    /// It was not here before, or the name pointed elsewhere.
    pub newer: bool,
}

/// What has to happen for the layers of an image.
struct Plan {
    steps: Vec<Step>,
    downloads: Vec<(Descriptor, Writer)>,
}

/// Pulls an image. Nothing is visible until everything is verified; dropping the future leaves nothing behind.
///
/// # Errors
/// Docker's texts, see [`Error`].
pub async fn pull(
    store: &Store,
    request: PullRequest,
    progress: impl Fn(Progress) + Send + Sync + Clone + 'static,
) -> Result<Pulled, Error> {
    let reference = request.reference.clone().with_default_tag();
    let platform = request.platform.clone().unwrap_or_else(Platform::host);
    let registry = Registry::connect(&reference, request.credentials.as_ref(), &request.insecure_registries).await?;
    let which = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    let (digest, manifest) = manifest::resolve(&registry, &which, &platform).await?;
    progress(Progress::PullingFrom { id: which, repository: reference.path().to_owned() });
    let config = fetch::document(&registry, &manifest.config).await?;
    let id = ImageId(manifest.config.digest);
    let newer = store.resolve(&reference.to_string()).ok() != Some(id);
    if store.image(&id).is_err() {
        layers(store, &registry, &manifest, config, &progress).await?;
    }
    name(store, id, &reference, digest).await?;
    progress(Progress::Digest(digest));
    progress(Progress::Status { reference: reference.familiar(), newer });
    Ok(Pulled { id, digest, newer })
}

/// The names of a pulled image, in one transaction.
async fn name(store: &Store, id: ImageId, reference: &Reference, digest: Digest) -> Result<(), Error> {
    let mut names = vec![reference.with_digest(digest)];
    if reference.digest().is_none() {
        names.push(reference.clone());
    }
    let store = store.clone();
    blocking(move || Ok(store.tag_all(&id, &names)?)).await
}

/// Downloads and unpacks the missing layers and registers the image.
async fn layers(
    store: &Store,
    registry: &Registry,
    manifest: &Manifest,
    config: Vec<u8>,
    progress: &(impl Fn(Progress) + Send + Sync + Clone + 'static),
) -> Result<(), Error> {
    let lease = store.lease();
    let scratch = store.scratch("pull")?;
    let Plan { steps, downloads } = plan(store, &lease, &scratch, manifest, &config, progress)?;
    let slots = Arc::new(Semaphore::new(PARALLEL_DOWNLOADS));
    // Dropped with this future: then the downloads stop, and with them the unpacking.
    let mut tasks = JoinSet::new();
    for (number, (descriptor, writer)) in downloads.into_iter().enumerate() {
        if number >= PARALLEL_DOWNLOADS {
            progress(Progress::Waiting { layer: descriptor.digest.short() });
        }
        let (registry, progress, slots) = (registry.clone(), progress.clone(), Arc::clone(&slots));
        tasks.spawn(async move {
            // The semaphore is never closed. Permits go in order, so the bottom layers come first.
            let _permit = slots.acquire_owned().await;
            writer.download(&registry, &descriptor, &progress).await;
        });
    }
    let (store, progress) = (store.clone(), progress.clone());
    blocking(move || {
        let _scratch = scratch;
        unpack(&store, &lease, &steps, &progress)?;
        store.put_image(&lease, &config, None)?;
        Ok(())
    })
    .await
}

/// Decides for each layer where it comes from, and says so.
fn plan(
    store: &Store,
    lease: &Lease,
    scratch: &Scratch,
    manifest: &Manifest,
    config: &[u8],
    progress: &impl Fn(Progress),
) -> Result<Plan, Error> {
    let url = manifest.config.digest.to_string();
    let invalid = |reason: String| Error::Answer { url: url.clone(), reason };
    let document: ImageConfig = serde_json::from_slice(config).map_err(|error| invalid(error.to_string()))?;
    let diffs = document.rootfs.diff_ids;
    if diffs.len() != manifest.layers.len() {
        return Err(invalid("layers from manifest don't match image configuration".to_owned()));
    }
    let chains = store::chain_ids(&diffs);
    let mut plan = Plan { steps: Vec::new(), downloads: Vec::new() };
    for (number, (descriptor, (diff, chain))) in manifest.layers.iter().zip(diffs.into_iter().zip(chains)).enumerate() {
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
            let (growing, writer) = Growing::create(scratch.path().join(number.to_string()))?;
            plan.downloads.push((descriptor.clone(), writer));
            Origin::Download(growing)
        };
        plan.steps.push(Step { blob: descriptor.digest, size: descriptor.size, diff, origin });
    }
    Ok(plan)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Canceled)?
}
