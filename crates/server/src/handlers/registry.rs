//! `/auth`, `/distribution`, `/images/search`, `/images/{name}/push`.

use api::registry::Authenticated;
use api::system::AuthConfig;
use engine::model::image::Compression;
use hyper::header::HeaderName;
use types::{Digest, Reference};

use super::images::{progress, reference_failure, with_tag};
use crate::call::Call;
use crate::failure::Failure;
use crate::respond::{self, Outcome};
use crate::{decode, encode};

/// The most results that a search may ask for.
const SEARCH_MOST: i64 = 100;

/// The header with credentials for the registry of the request.
pub(super) const REGISTRY_AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

pub(crate) async fn auth(mut call: Call) -> Outcome {
    let auth: AuthConfig = call.json_or_default().await?;
    let server = auth.server_address.clone();
    let credentials = decode::credentials(auth).ok_or_else(|| Failure::invalid("username is empty"))?;
    let identity_token = call.engine.registry_login(&server, &credentials).await?;
    respond::ok(&Authenticated { identity_token, status: "Login Succeeded".to_owned() })
}

pub(crate) async fn distribution(call: Call) -> Outcome {
    // An image's id is not known to registries.
    if call.name.parse::<Digest>().is_ok() {
        return Err(Failure::invalid(format!("unknown image reference format: {}", call.name)));
    }
    let reference: Reference = call.name.parse().map_err(reference_failure)?;
    let credentials = decode::registry_auth(call.header(REGISTRY_AUTH));
    let image = call.engine.registry_inspect(&reference, credentials.as_ref()).await?;
    // Beyond Docker: with `manifest=1` the document itself, which is otherwise only for clients that speak to registries.
    respond::ok(&encode::distribution(image, call.query.flag("manifest")))
}

pub(crate) async fn search(call: Call) -> Outcome {
    let limit = call.query.number("limit")?;
    if let Some(limit) = limit.filter(|limit| !(1..=SEARCH_MOST).contains(limit)) {
        return Err(Failure::invalid(format!("limit {limit} is outside the range of [1, {SEARCH_MOST}]")));
    }
    let filters = decode::filters(call.query.text("filters"))?;
    let credentials = decode::registry_auth(call.header(REGISTRY_AUTH));
    let term = call.query.text("term").unwrap_or_default();
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let found = call.engine.registry_search(term, limit, &filters, credentials.as_ref()).await?;
    let mut items: Vec<_> = found.into_iter().map(encode::found).collect();
    if call.since(44) {
        items.iter_mut().for_each(|item| item.is_automated = false);
    }
    respond::ok(&items)
}

pub(crate) async fn push(mut call: Call) -> Outcome {
    let credentials = match call.header(REGISTRY_AUTH) {
        // Clients of old put the credentials into the body.
        "" => {
            let auth = call.json_of_any_type::<AuthConfig>().await;
            decode::credentials(auth.map_err(|failure| failure.context("bad parameters and missing X-Registry-Auth"))?)
        }
        header => decode::registry_auth(header),
    };
    let name: Reference = call.name.parse().map_err(reference_failure)?;
    let tag = call.query.text("tag").map(|tag| with_tag(&name, tag)).transpose()?;
    let platform = decode::platform(call.query.text("platform").filter(|_| call.since(46)))?;
    // Not one of Docker's.
    let compression = match call.query.text("compression").unwrap_or_default() {
        "" | "gzip" => Compression::Gzip,
        "zstd" => Compression::Zstd,
        other => return Err(Failure::invalid(format!("invalid compression {other:?}: want gzip or zstd"))),
    };
    progress(call.engine.image_push(name, tag, platform, compression, credentials), false).await
}
