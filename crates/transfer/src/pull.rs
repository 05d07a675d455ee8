//! `docker pull`.

use std::sync::Arc;

use store::{DiffId, ImageId, KnownBlob, Lease, Store};
use types::{Digest, Platform, Reference};

use crate::config::{Place, Registries};
use crate::fetch::sha256;
use crate::layers::Plan;
use crate::manifest::{Descriptor, OCI_GZIP, OCI_ZSTD, Resolved};
use crate::registry::Registry;
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
    /// `WARNING: …`: the image is here, but perhaps not the one that is meant.
    Warning(String),
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
            Self::PullingFrom { .. } | Self::Digest(_) | Self::Status { .. } | Self::Warning(_) => None,
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
    let (digest, resolved) = manifest::resolve(registry, &which, platform).await?;
    progress(Progress::PullingFrom { id: which, repository: reference.path().to_owned() });
    let before = store.resolve(&reference.to_string()).ok();
    // Until it has its name, nobody prunes it.
    let lease = Arc::new(store.lease());
    let from = (store, registry, &*request.registries);
    let (config, blobs) = match resolved {
        Resolved::Image(manifest) => {
            let config = fetch::document(registry, &manifest.config).await?;
            if store.leased_image(&lease, &ImageId(manifest.config.digest)).is_err() {
                let (plan, config) = (Plan::of(store, &lease, &manifest, &config, progress)?, config.clone());
                plan.carry_out(&lease, from, move |_| Ok(config), progress).await?;
            }
            (config, manifest.layers)
        }
        Resolved::Schema1(image) => {
            let blobs = image.blobs.iter().map(|blob| Descriptor::of(*blob)).collect();
            let plan = Plan::of_schema1(store, &lease, &image, progress)?;
            let url = digest.to_string();
            let document = move |diffs: &[DiffId]| {
                image.configuration(diffs).map_err(|error| Error::Answer { url, reason: error.to_string() })
            };
            (plan.carry_out(&lease, from, document, progress).await?, blobs)
        }
    };
    let id = ImageId(sha256(&config));
    name(store, lease, config, reference, digest, blobs).await?;
    progress(Progress::Digest(digest));
    Ok(Pulled { reference: reference.clone(), id, digest, newer: before != Some(id) })
}

/// The names of a pulled image, in one transaction, and where its layers came from.
async fn name(
    store: &Store,
    lease: Arc<Lease>,
    config: Vec<u8>,
    reference: &Reference,
    digest: Digest,
    blobs: Vec<Descriptor>,
) -> Result<(), Error> {
    let mut names = vec![reference.with_digest(digest)];
    if reference.digest().is_none() {
        names.push(reference.clone());
    }
    let (store, repository) = (store.clone(), reference.name());
    blocking(move || {
        let id = store.put_named_image(&lease, &config, None, &names)?;
        let image = store.leased_image(&lease, &id)?;
        for (diff, layer) in image.config.rootfs.diff_ids.iter().zip(&blobs) {
            let media_type = if layer.media_type.ends_with("zstd") { OCI_ZSTD } else { OCI_GZIP };
            // A size that the manifest did not tell is of no use to a push.
            if layer.media_type.ends_with("tar") || layer.size == 0 {
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

/// Runs work of the store on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Canceled)?
}
