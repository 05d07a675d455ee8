//! A manifest list that a client has put together: its images are brought into the repository, then it gets its name.

use std::collections::BTreeSet;
use std::sync::Arc;

use types::{Digest, Reference};

use crate::config::Registries;
use crate::fetch::sha256;
use crate::manifest::{self, Raw, Top};
use crate::registry::Registry;
use crate::upload::Begun;
use crate::{Credentials, Error};

/// What to push.
#[derive(Clone, Debug)]
pub struct PushListRequest {
    /// What the list is called, with a tag.
    pub name: Reference,
    /// Of the list.
    pub media_type: String,
    /// The list, byte for byte.
    pub list: Vec<u8>,
    /// Its images, by digest, in repositories of the same registry.
    pub images: Vec<Reference>,
    /// The account on the registry.
    pub credentials: Option<Credentials>,
    /// How registries are reached.
    pub registries: Arc<Registries>,
}

/// Pushes a manifest list; gives its digest. What the registry has when it fails are images without a name, which it
/// collects.
///
/// # Errors
/// [`Error::OtherRegistry`], [`Error::NotMounted`], or Docker's texts, see [`Error`].
pub async fn push_list(request: PushListRequest) -> Result<Digest, Error> {
    let name = &request.name;
    if let Some(other) = request.images.iter().find(|image| image.domain() != name.domain()) {
        let (source, target) = (other.domain().to_owned(), name.domain().to_owned());
        return Err(Error::OtherRegistry { source_registry: source, target });
    }
    let place = Registries::home(name.domain());
    let mut scopes = vec![format!("repository:{}:pull,push", name.path())];
    let sources: BTreeSet<&str> =
        request.images.iter().map(Reference::path).filter(|path| *path != name.path()).collect();
    scopes.extend(sources.iter().map(|path| format!("repository:{path}:pull")));
    let credentials = request.credentials.as_ref();
    let target = Registry::with_scopes(&place, name, credentials, &request.registries, scopes.clone()).await?;
    for image in &request.images {
        let Some(digest) = image.digest() else { continue };
        let source = Registry::with_scopes(&place, image, credentials, &request.registries, scopes.clone()).await?;
        let raw = manifest::fetch(&source, &digest.to_string()).await?;
        if image.path() != name.path() {
            take_over(&target, image, &raw).await?;
        }
        target.put_manifest(&digest.to_string(), &raw.media_type, &raw.bytes).await?;
    }
    target.put_manifest(name.tag().unwrap_or("latest"), &request.media_type, &request.list).await?;
    Ok(sha256(&request.list))
}

/// Makes the blobs of an image known in another repository of its registry.
async fn take_over(target: &Registry, image: &Reference, raw: &Raw) -> Result<(), Error> {
    let Top::Image(manifest) = manifest::top(&image.familiar(), raw)? else {
        return Err(Error::NoImage(image.familiar()));
    };
    let layers = manifest.layers.iter().filter(|layer| layer.urls.is_none());
    for blob in layers.chain([&manifest.config]) {
        if target.has_blob(&blob.digest).await? {
            continue;
        }
        if let Begun::Session(_) = target.begin(Some((&blob.digest, image.path()))).await? {
            return Err(Error::NotMounted { blob: blob.digest, repository: image.familiar_name() });
        }
    }
    Ok(())
}
