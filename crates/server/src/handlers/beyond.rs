//! `/gantry`: what Docker has no operation for.

use api::beyond::{LayersPresent, LayersPresentRequest, ManifestPush, ManifestPushed};
use types::{Digest, Reference};

use super::images::{bad_digest, reference_failure};
use super::registry::REGISTRY_AUTH;
use crate::call::Call;
use crate::failure::Failure;
use crate::respond::{self, Outcome};
use crate::{decode, encode};

/// Which layers of images are here already, so that only the others need to come.
pub(crate) async fn layers_present(mut call: Call) -> Outcome {
    let request: LayersPresentRequest = call.json_or_default().await?;
    let digest = |text: &String| text.parse::<Digest>().map_err(|_| bad_digest(text));
    let stack = |stack: &Vec<String>| stack.iter().map(digest).collect::<Result<Vec<_>, Failure>>();
    let stacks = request.stacks.iter().map(stack).collect::<Result<Vec<_>, Failure>>()?;
    let present = call.engine.layers_present(stacks).await?;
    let text = |digest: Option<Digest>| digest.map(|digest| digest.to_string()).unwrap_or_default();
    respond::ok(&LayersPresent { present: present.into_iter().map(text).collect() })
}

/// What distinguishes the image `to` from the image `from`.
pub(crate) async fn image_diff(call: Call) -> Outcome {
    let named = |key: &str| {
        let name = call.query.text(key).filter(|name| !name.is_empty());
        name.ok_or_else(|| Failure::invalid(format!("the parameter {key} must name an image")))
    };
    let comparison = call.engine.image_diff(named("from")?, named("to")?).await?;
    respond::ok(&encode::image_difference(comparison))
}

/// Pushes a manifest list that the client has put together; the images in it are on its registry already.
pub(crate) async fn manifest_push(mut call: Call) -> Outcome {
    let request: ManifestPush = call.json_or_default().await?;
    let credentials = decode::registry_auth(call.header(REGISTRY_AUTH));
    let name: Reference = request.name.parse().map_err(reference_failure)?;
    if name.digest().is_some() {
        return Err(Failure::invalid("a manifest list is pushed to a tag, not to a digest"));
    }
    let by_digest = |text: &String| {
        let image: Reference = text.parse().map_err(reference_failure)?;
        let digest = image.digest().is_some();
        digest.then_some(image).ok_or_else(|| Failure::invalid(format!("{text} names no digest")))
    };
    let images = request.images.iter().map(by_digest).collect::<Result<Vec<_>, Failure>>()?;
    let (name, list) = (name.with_default_tag(), request.list.into_bytes());
    let digest = call.engine.registry_push_list(name, request.media_type, list, images, credentials).await?;
    respond::ok(&ManifestPushed { digest: digest.to_string() })
}
