//! `docker push`.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::Body;
use store::{BlobInfo, DiffId, ImageId, KnownBlob, Store};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use types::{Digest, Reference};

use crate::compress::{Compression, Form, Sent, outgoing};
use crate::config::Registries;
use crate::fetch::sha256;
use crate::manifest::{OCI_GZIP, OCI_ZSTD};
use crate::push_manifest::manifest;
use crate::registry::Registry;
use crate::upload::Begun;
use crate::{Credentials, Error};

/// How many earlier places of a layer are asked about.
const CANDIDATES: usize = 4;

/// What to push and how.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// The repository.
    pub repository: Reference,
    /// Its tags to push, each with its image.
    pub tags: Vec<(Reference, ImageId)>,
    /// Of layers that were built here.
    pub compression: Compression,
    /// For the registry, when the client sent any.
    pub credentials: Option<Credentials>,
    /// How registries are reached.
    pub registries: Arc<Registries>,
}

/// One step of a push. `layer` is the first 12 digits of the layer's diff id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushProgress {
    /// `Preparing`.
    Preparing {
        /// The layer.
        layer: String,
    },
    /// `Waiting`.
    Waiting {
        /// The layer.
        layer: String,
    },
    /// `Layer already exists`.
    AlreadyExists {
        /// The layer.
        layer: String,
    },
    /// `Mounted from library/busybox`.
    Mounted {
        /// The layer.
        layer: String,
        /// The other repository's path.
        from: String,
    },
    /// `Pushing`.
    Pushing {
        /// The layer.
        layer: String,
        /// Bytes so far.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
    /// `Retrying in 5 seconds`.
    Retrying {
        /// The layer.
        layer: String,
        /// Until the next attempt.
        seconds: u32,
    },
    /// `Pushed`.
    Pushed {
        /// The layer.
        layer: String,
    },
    /// A tag is on the registry.
    Tagged {
        /// The tag.
        tag: String,
        /// Digest of its manifest.
        digest: Digest,
        /// Bytes of its manifest.
        size: u64,
    },
}

/// One push with what all its layers need.
#[derive(Clone)]
struct Push<P> {
    store: Store,
    registry: Registry,
    repository: Reference,
    registries: Arc<Registries>,
    compression: Compression,
    progress: P,
}

/// An upload under way.
struct Upload {
    /// Where it goes on, once it has begun.
    session: Option<String>,
    /// Bytes that the registry has.
    offset: u64,
}

/// Pushes the tags of a repository, one after the other. Dropping the future stops it; what the registry has then are
/// blobs without a name, which it collects.
///
/// # Errors
/// Docker's texts, see [`Error`].
pub async fn push(
    store: &Store,
    request: PushRequest,
    progress: impl Fn(PushProgress) + Send + Sync + Clone + 'static,
) -> Result<(), Error> {
    let repository = request.repository;
    let place = Registries::home(repository.domain());
    let scopes = scopes(store, &repository, &request.tags);
    let credentials = request.credentials.as_ref();
    let registry = Registry::with_scopes(&place, &repository, credentials, &request.registries, scopes).await?;
    let (store, registries, compression) = (store.clone(), request.registries, request.compression);
    let push = Push { store, registry, repository, registries, compression, progress };
    for (reference, id) in request.tags {
        push.tag(&reference, id).await?;
    }
    Ok(())
}

/// Write access to the repository, and read access to those that blobs may be mounted from.
fn scopes(store: &Store, repository: &Reference, tags: &[(Reference, ImageId)]) -> Vec<String> {
    let mut scopes = vec![format!("repository:{}:pull,push", repository.path())];
    for image in tags.iter().filter_map(|(_, id)| store.image(id).ok()) {
        for blob in image.config.rootfs.diff_ids.iter().flat_map(|diff| store.known_blobs(diff)) {
            let scope = mount_source(&blob, repository).map(|path| format!("repository:{path}:pull"));
            scopes.extend(scope.filter(|scope| !scopes.contains(scope)));
        }
    }
    scopes.truncate(1 + CANDIDATES);
    scopes
}

/// The path of another repository of the same registry that has the blob.
fn mount_source(blob: &KnownBlob, repository: &Reference) -> Option<String> {
    let source: Reference = blob.repository.parse().ok()?;
    let other = source.domain() == repository.domain() && source.path() != repository.path();
    other.then(|| source.path().to_owned())
}

// === impl Push ===

impl<P: Fn(PushProgress) + Send + Sync + Clone + 'static> Push<P> {
    async fn tag(&self, reference: &Reference, id: ImageId) -> Result<(), Error> {
        // Keeps the layers' blobs while they are read.
        let lease = self.store.lease();
        let image = self.store.leased_image(&lease, &id)?;
        let blobs = self.layers(&image.config.rootfs.diff_ids).await?;
        self.document(&image.raw, &image.id.0).await?;
        let (media_type, bytes) = manifest(&image, &blobs);
        let tag = reference.tag().unwrap_or_default();
        self.registry.put_manifest(tag, media_type, &bytes).await?;
        let digest = sha256(&bytes);
        let (store, name) = (self.store.clone(), reference.with_digest(digest));
        crate::pull::blocking(move || Ok(store.tag(&id, &name)?)).await?;
        (self.progress)(PushProgress::Tagged { tag: tag.to_owned(), digest, size: bytes.len() as u64 });
        Ok(())
    }

    /// Sends what the registry lacks; gives the blob of each layer, bottom first.
    async fn layers(&self, diffs: &[DiffId]) -> Result<Vec<KnownBlob>, Error> {
        let mut unique: Vec<DiffId> = Vec::new();
        // Docker begins with the topmost layer.
        for diff in diffs.iter().rev() {
            if !unique.contains(diff) {
                unique.push(*diff);
            }
        }
        let parallel = self.registries.uploads.max(1);
        let slots = Arc::new(Semaphore::new(parallel));
        unique.iter().for_each(|diff| (self.progress)(PushProgress::Preparing { layer: diff.short() }));
        let waiting = unique.iter().skip(parallel);
        waiting.for_each(|diff| (self.progress)(PushProgress::Waiting { layer: diff.short() }));
        // Dropped with this future: then the uploads stop.
        let mut tasks = JoinSet::new();
        for diff in unique {
            let (push, slots) = (self.clone(), Arc::clone(&slots));
            tasks.spawn(async move {
                // The semaphore is never closed.
                let _permit = slots.acquire_owned().await;
                push.layer(diff).await.map(|blob| (diff, blob))
            });
        }
        let mut sent = std::collections::HashMap::new();
        while let Some(done) = tasks.join_next().await {
            let (diff, blob) = done.map_err(|_| Error::Canceled)??;
            sent.insert(diff, blob);
        }
        Ok(diffs.iter().filter_map(|diff| sent.get(diff).cloned()).collect())
    }

    async fn layer(&self, diff: DiffId) -> Result<KnownBlob, Error> {
        let layer = diff.short();
        let known = self.usable_blobs(&diff);
        for blob in known.iter().take(CANDIDATES) {
            if self.registry.has_blob(&blob.digest).await? {
                (self.progress)(PushProgress::AlreadyExists { layer });
                return self.remember(diff, blob.clone());
            }
        }
        let mut session = None;
        for blob in known.iter().take(CANDIDATES) {
            let Some(from) = mount_source(blob, &self.repository) else { continue };
            match self.registry.begin(Some((&blob.digest, &from))).await? {
                Begun::Mounted => {
                    (self.progress)(PushProgress::Mounted { layer, from });
                    return self.remember(diff, blob.clone());
                }
                Begun::Session(address) => session = Some(address),
            }
        }
        let blob = self.upload(diff, session).await?;
        (self.progress)(PushProgress::Pushed { layer });
        self.remember(diff, blob)
    }

    /// Known blobs that may stand for a layer. Of a layer that was built here, those compressed as is wanted now.
    fn usable_blobs(&self, diff: &DiffId) -> Vec<KnownBlob> {
        let built = self.store.blob_of_diff(diff).is_some_and(|kept| !is_compressed(&kept.media_type));
        let wanted = |blob: &KnownBlob| {
            is_compressed(&blob.media_type)
                && (!built || blob.media_type.ends_with("zstd") == (self.compression == Compression::Zstd))
        };
        self.store.known_blobs(diff).into_iter().filter(wanted).collect()
    }

    /// Sends a layer, from where it broke when the connection breaks.
    async fn upload(&self, diff: DiffId, session: Option<String>) -> Result<KnownBlob, Error> {
        let kept = self.store.blob_of_diff(&diff).ok_or_else(|| store::Error::NoSuchLayer(diff.to_string()))?;
        let compression = (!is_compressed(&kept.media_type)).then_some(self.compression);
        let mut upload = Upload { session, offset: 0 };
        let mut attempts = self.registry.attempts();
        loop {
            let error = match self.attempt(diff, &kept, compression, &mut upload).await {
                Ok(sent) => {
                    let media_type = match compression {
                        Some(Compression::Gzip) => OCI_GZIP.to_owned(),
                        Some(Compression::Zstd) => OCI_ZSTD.to_owned(),
                        None => kept.media_type,
                    };
                    return Ok(KnownBlob {
                        digest: sent.digest,
                        size: sent.size,
                        media_type,
                        repository: String::new(),
                    });
                }
                Err(error) => error,
            };
            // A body cannot be sent twice by itself: a token that ran out meanwhile is an interruption like others.
            let passes = error.is_transient() || self.registry.token_ran_out(&error).await;
            let Some(wait) = attempts.pause(&error, passes) else {
                if let Some(session) = &upload.session {
                    self.registry.abandon(session).await;
                }
                return Err(error);
            };
            tracing::info!(layer = %diff, %error, "sending goes on");
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1);
            (self.progress)(PushProgress::Retrying { layer: diff.short(), seconds });
            tokio::time::sleep(wait).await;
            // The end of the last attempt may have arrived although its answer did not.
            if compression.is_none() && self.registry.has_blob(&kept.digest).await.unwrap_or(false) {
                return Ok(KnownBlob {
                    digest: kept.digest,
                    size: kept.size,
                    media_type: kept.media_type,
                    repository: String::new(),
                });
            }
            upload = self.resumed(upload).await;
        }
    }

    /// How far an upload got; one that the registry has forgotten begins again.
    async fn resumed(&self, upload: Upload) -> Upload {
        let Some(session) = &upload.session else { return upload };
        match self.registry.session_status(session).await {
            Ok(Some((session, offset))) => Upload { session: Some(session), offset },
            Ok(None) => Upload { session: None, offset: 0 },
            Err(error) => {
                tracing::info!(%error, "the upload begins again");
                Upload { session: None, offset: 0 }
            }
        }
    }

    /// One connection. `upload` is where the next one goes on.
    async fn attempt(
        &self,
        diff: DiffId,
        kept: &BlobInfo,
        compression: Option<Compression>,
        upload: &mut Upload,
    ) -> Result<Sent, Error> {
        let session = match &upload.session {
            Some(session) => session.clone(),
            None => match self.registry.begin(None).await? {
                Begun::Session(session) => session,
                Begun::Mounted => {
                    return Err(Error::Answer { url: diff.to_string(), reason: "an upload ended early".to_owned() });
                }
            },
        };
        upload.session = Some(session.clone());
        let (progress, layer, total) = (self.progress.clone(), diff.short(), kept.size);
        let report = move |current| progress(PushProgress::Pushing { layer: layer.clone(), current, total });
        let form = compression.map_or(Form::AsKept(kept.digest), Form::Compressed);
        let (pieces, work) = outgoing(kept.path.clone(), form, upload.offset, report);
        let body = Body::wrap_stream(stream(pieces));
        let size = compression.is_none().then_some(kept.size);
        let next = self.registry.send_piece(&session, upload.offset, size, body).await;
        let sent = work.await.map_err(|_| Error::Canceled)?;
        let (next, arrived) = match (next, &sent) {
            // A file that cannot be read explains the broken request.
            (Err(_), Err(Error::Read { source, .. })) if source.kind() != io::ErrorKind::BrokenPipe => (session, None),
            (next, _) => next?,
        };
        let sent = sent?;
        upload.session = Some(next.clone());
        if let Some(arrived) = arrived.filter(|arrived| *arrived < sent.size) {
            let reason = format!("the registry took {arrived} of {} bytes", sent.size);
            return Err(Error::Connect { url: next, reason });
        }
        self.registry.finish(&next, &sent.digest, None).await?;
        Ok(sent)
    }

    /// Notes where the layer is now, for the next push.
    fn remember(&self, diff: DiffId, blob: KnownBlob) -> Result<KnownBlob, Error> {
        let blob = KnownBlob { repository: self.repository.name(), ..blob };
        self.store.remember_blob(&diff, &blob)?;
        Ok(blob)
    }

    /// Sends the configuration unless it is there.
    async fn document(&self, bytes: &[u8], digest: &Digest) -> Result<(), Error> {
        if self.registry.has_blob(digest).await? {
            return Ok(());
        }
        match self.registry.begin(None).await? {
            Begun::Mounted => Ok(()),
            Begun::Session(session) => self.registry.finish(&session, digest, Some(bytes)).await,
        }
    }
}

fn is_compressed(media_type: &str) -> bool {
    media_type.ends_with("gzip") || media_type.ends_with("zstd")
}

fn stream(pieces: mpsc::Receiver<io::Result<Bytes>>) -> impl futures_util::Stream<Item = io::Result<Bytes>> + Send {
    futures_util::stream::unfold(pieces, async |mut pieces| pieces.recv().await.map(|piece| (piece, pieces)))
}
