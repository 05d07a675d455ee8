//! `/gantry`: what Docker has no operation for.

use api::beyond::{LayersPresent, LayersPresentRequest};
use types::Digest;

use super::images::bad_digest;
use crate::call::Call;
use crate::encode;
use crate::failure::Failure;
use crate::respond::{self, Outcome};

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
