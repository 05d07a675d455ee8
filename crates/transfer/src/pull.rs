//! `docker pull`.

use std::sync::Arc;

use store::{ImageConfig, ImageId, KnownBlob, Lease, Scratch, Store};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use types::{Digest, Platform, Reference};

use crate::config::{Place, Registries};
use crate::download::{Growing, Writer};
use crate::manifest::{Descriptor, Manifest, OCI_GZIP, OCI_ZSTD};
use crate::registry::Registry;
use crate::unpack::{Origin, Step, unpack};
use crate::{Credentials, Error, fetch, manifest};

/// What to pull and how.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The image; without tag or digest it means all tags of its repository.
    pub reference: Reference,
    /// The machine it has to run on; `None` is this one.
    pub platform: Option<Platform>,
    /// For the registry, when the client sent any.
    pub credentials: Option<Credentials>,
    /// How registries are reached.
    pub registries: Arc<Registries>,
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

impl Progress {
    /// The layer that a step is about.
    #[must_use]
    pub fn layer(&self) -> Option<&str> {
        match self {
            Self::PullingFsLayer { layer }
            | Self::AlreadyExists { layer }
            | Self::Waiting { layer }
            | Self::Downloading { layer, .. }
            | Self::VerifyingChecksum { layer }
            | Self::DownloadComplete { layer }
            | Self::Extracting { layer, .. }
            | Self::PullComplete { layer } => Some(layer),
            Self::PullingFrom { .. } | Self::Digest(_) | Self::Status { .. } => None,
        }
    }
}

/// A pulled image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The name it has now.
    pub reference: Reference,
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

/// Pulls an image, or all tags of a repository. Of each image nothing is visible until everything is verified;
/// dropping the future leaves nothing behind.
///
/// Mirrors are asked first; when one fails in whatever way, the next one is asked, and last the registry itself.
///
/// # Errors
/// Docker's texts, see [`Error`].
pub async fn pull(
    store: &Store,
    request: PullRequest,
    progress: impl Fn(Progress) + Send + Sync + Clone + 'static,
) -> Result<Vec<Pulled>, Error> {
    for place in request.registries.places(request.reference.domain()) {
        match pull_from(store, &place, &request, &progress).await {
            Err(error) if place.mirror && !matches!(error, Error::Canceled | Error::Store(_)) => {
                tracing::info!(mirror = place.host, %error, "the mirror did not help");
            }
            result => return result,
        }
    }
    // The last place is no mirror.
    Err(Error::Canceled)
}

async fn pull_from(
    store: &Store,
    place: &Place,
    request: &PullRequest,
    progress: &(impl Fn(Progress) + Send + Sync + Clone + 'static),
) -> Result<Vec<Pulled>, Error> {
    let reference = &request.reference;
    let registry = Registry::connect(place, reference, request.credentials.as_ref(), &request.registries).await?;
    let references = if reference.tag().is_none() && reference.digest().is_none() {
        // Tags with characters that references do not have cannot be named here.
        registry.tags().await?.iter().filter_map(|tag| reference.with_tag(tag).ok()).collect()
    } else {
        vec![reference.clone()]
    };
    let platform = request.platform.clone().unwrap_or_else(Platform::host);
    let mut all = Vec::new();
    for reference in references {
        all.push(pull_one(store, &registry, &reference, &platform, request, progress).await?);
    }
    let newer = all.iter().any(|pulled| pulled.newer);
    progress(Progress::Status { reference: reference.familiar(), newer });
    Ok(all)
}

async fn pull_one(
    store: &Store,
    registry: &Registry,
    reference: &Reference,
    platform: &Platform,
    request: &PullRequest,
    progress: &(impl Fn(Progress) + Send + Sync + Clone + 'static),
) -> Result<Pulled, Error> {
    let which = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    let (digest, manifest) = manifest::resolve(registry, &which, platform).await?;
    progress(Progress::PullingFrom { id: which, repository: reference.path().to_owned() });
    let config = fetch::document(registry, &manifest.config).await?;
    let id = ImageId(manifest.config.digest);
    let newer = store.resolve(&reference.to_string()).ok() != Some(id);
    // Until it has its name, nobody prunes it.
    let lease = Arc::new(store.lease());
    if store.leased_image(&lease, &id).is_err() {
        layers(store, &lease, registry, &manifest, config.clone(), &request.registries, progress).await?;
    }
    name(store, lease, config, reference, digest, manifest).await?;
    progress(Progress::Digest(digest));
    Ok(Pulled { reference: reference.clone(), id, digest, newer })
}

/// The names of a pulled image, in one transaction, and where its layers came from.
async fn name(
    store: &Store,
    lease: Arc<Lease>,
    config: Vec<u8>,
    reference: &Reference,
    digest: Digest,
    manifest: Manifest,
) -> Result<(), Error> {
    let mut names = vec![reference.with_digest(digest)];
    if reference.digest().is_none() {
        names.push(reference.clone());
    }
    let (store, repository) = (store.clone(), reference.name());
    blocking(move || {
        let id = store.put_named_image(&lease, &config, None, &names)?;
        let image = store.leased_image(&lease, &id)?;
        for (diff, layer) in image.config.rootfs.diff_ids.iter().zip(&manifest.layers) {
            let media_type = if layer.media_type.ends_with("zstd") { OCI_ZSTD } else { OCI_GZIP };
            if layer.media_type.ends_with("tar") {
                continue;
            }
            let (media_type, repository) = (media_type.to_owned(), repository.clone());
            let blob = KnownBlob { digest: layer.digest, size: layer.size, media_type, repository };
            store.remember_blob(diff, &blob)?;
        }
        Ok(())
    })
    .await
}

/// Downloads and unpacks the missing layers and registers the image.
async fn layers(
    store: &Store,
    lease: &Arc<Lease>,
    registry: &Registry,
    manifest: &Manifest,
    config: Vec<u8>,
    registries: &Registries,
    progress: &(impl Fn(Progress) + Send + Sync + Clone + 'static),
) -> Result<(), Error> {
    let lease = Arc::clone(lease);
    let scratch = store.scratch("pull")?;
    let Plan { steps, downloads } = plan(store, &lease, &scratch, manifest, &config, progress)?;
    let (parallel, attempts) = (registries.downloads.max(1), registries.attempts.max(1));
    let slots = Arc::new(Semaphore::new(parallel));
    // Dropped with this future: then the downloads stop, and with them the unpacking.
    let mut tasks = JoinSet::new();
    for (number, (descriptor, writer)) in downloads.into_iter().enumerate() {
        if number >= parallel {
            progress(Progress::Waiting { layer: descriptor.digest.short() });
        }
        let (registry, progress, slots) = (registry.clone(), progress.clone(), Arc::clone(&slots));
        tasks.spawn(async move {
            // The semaphore is never closed. Permits go in order, so the bottom layers come first.
            let _permit = slots.acquire_owned().await;
            writer.download(&registry, &descriptor, attempts, &progress).await;
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

/// Runs work of the store on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Canceled)?
}
