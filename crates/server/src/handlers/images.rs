//! `/images`.

use std::io;

use bytes::Bytes;
use engine::model::image::{ContainerConfig, ImportOptions};
use engine::{ChannelReader, Error, ImageProgress, ImageQuery, SaveImages};
use hyper::StatusCode;
use tokio::sync::mpsc;
use types::{Digest, Platform, Reference};

use super::registry::REGISTRY_AUTH;
use crate::body::{RequestBody, ResponseBody};
use crate::call::Call;
use crate::failure::Failure;
use crate::respond::{self, Outcome};
use crate::{decode, encode};

type Steps = mpsc::Receiver<Result<ImageProgress, Error>>;

pub(crate) async fn list(call: Call) -> Outcome {
    let mut filters = decode::filters(call.query.text("filters"))?;
    if let Some(reference) = call.query.text("filter").filter(|_| !call.since(41)) {
        filters.entry("reference".to_owned()).or_default().push(reference.to_owned());
    }
    let query = ImageQuery {
        all: call.query.flag("all"),
        shared_size: call.since(42) && call.query.flag("shared-size"),
        manifests: call.since(47) && call.query.flag("manifests"),
        filters,
    };
    let images = call.engine.image_list(query).await?;
    let summaries: Vec<_> = images.iter().map(|image| encode::image_summary(image, call.version)).collect();
    respond::ok(&summaries)
}

pub(crate) async fn inspect(call: Call) -> Outcome {
    let platform = platform_since(&call, 49)?;
    let manifests = call.since(48) && call.query.flag("manifests");
    if manifests && platform.is_some() {
        return Err(Failure::invalid("conflicting options: manifests and platform options cannot both be set"));
    }
    let details = call.engine.image_inspect(&call.name, platform, manifests).await?;
    respond::ok(&encode::image_details(&details, call.version))
}

pub(crate) async fn history(call: Call) -> Outcome {
    let platform = platform_since(&call, 48)?;
    respond::ok(&encode::history(call.engine.image_history(&call.name, platform).await?))
}

/// The parameter `platform`, which older versions of the API do not have here.
fn platform_since(call: &Call, minor: u16) -> Result<Option<Platform>, Failure> {
    decode::platform(call.query.text("platform").filter(|_| call.since(minor)))
}

pub(crate) async fn tag(call: Call) -> Outcome {
    let repository = call.query.text("repo").unwrap_or_default();
    let reference = repository_and_tag(repository, call.query.text("tag"))?;
    if reference.familiar_name() == "sha256" {
        return Err(Failure::invalid("refusing to create an ambiguous tag using digest algorithm as name"));
    }
    call.engine.image_tag(&call.name, &reference).await?;
    Ok(respond::empty(StatusCode::CREATED))
}

pub(super) fn repository_and_tag(repository: &str, tag: Option<&str>) -> Result<Reference, Failure> {
    let reference: Reference = repository.parse().map_err(reference_failure)?;
    if reference.digest().is_some() {
        return Err(Failure::invalid("cannot import digest reference"));
    }
    match tag {
        Some(tag) => with_tag(&reference, tag),
        None => Ok(reference.with_default_tag()),
    }
}

pub(super) fn with_tag(reference: &Reference, tag: &str) -> Result<Reference, Failure> {
    reference.with_tag(tag).map_err(|_| Failure::invalid("invalid tag format"))
}

pub(super) fn reference_failure(error: types::InvalidReference) -> Failure {
    Failure::invalid(error.to_string())
}

pub(crate) async fn remove(call: Call) -> Outcome {
    if call.name.trim().is_empty() {
        return Err(Failure::invalid("image name cannot be blank"));
    }
    let platforms = call.query.all("platforms").filter(|_| call.since(50)).map(|text| decode::platform(Some(text)));
    let platforms = platforms.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
    let (force, noprune) = (call.query.flag("force"), call.query.flag("noprune"));
    let removed = call.engine.image_remove(&call.name, force, noprune, platforms).await?;
    respond::ok(&removed.into_iter().map(encode::removed).collect::<Vec<_>>())
}

/// Pull, or import with `fromSrc`.
pub(crate) async fn create(call: Call) -> Outcome {
    match call.query.text("fromImage") {
        Some(image) => {
            let reference = pull_reference(image, call.query.text("tag"))?;
            let platform = decode::platform(call.query.text("platform").filter(|_| call.since(32)))?;
            let credentials = decode::registry_auth(call.header(REGISTRY_AUTH));
            progress(call.engine.image_pull(reference, platform, credentials), false).await
        }
        None => import(call).await,
    }
}

fn pull_reference(image: &str, tag: Option<&str>) -> Result<Reference, Failure> {
    let reference: Reference = image.parse().map_err(reference_failure)?;
    match tag {
        None => Ok(reference),
        // A digest in the name says what is meant.
        Some(_) if reference.digest().is_some() => Ok(reference),
        // Clients split `name@sha256:…` at the sign.
        Some(tag) => match tag.parse::<Digest>() {
            Ok(digest) => Ok(reference.with_digest(digest)),
            Err(_) => with_tag(&reference, tag),
        },
    }
}

async fn import(mut call: Call) -> Outcome {
    let (source, options) = match import_options(&call) {
        Ok(asked) => asked,
        Err(failure) => {
            // A client that still sends would not hear the answer.
            call.discard_body().await;
            return Err(failure);
        }
    };
    if source != "-" {
        return progress(call.engine.image_import_from(source, options), false).await;
    }
    let reader = reader(&mut call);
    progress(call.engine.image_import(reader, options), false).await
}

fn import_options(call: &Call) -> Result<(String, ImportOptions), Failure> {
    let source = call.query.text("fromSrc").map(str::to_owned);
    let source = source.ok_or_else(|| Failure::invalid("one of fromImage and fromSrc is needed"))?;
    let mut config = ContainerConfig::default();
    let changes: Vec<String> = call.query.all("changes").map(str::to_owned).collect();
    engine::apply_changes(&changes, &mut config)?;
    let reference = match call.query.text("repo") {
        None => None,
        Some(repository) => Some(repository_and_tag(repository, call.query.text("tag"))?),
    };
    let options = ImportOptions {
        reference,
        config,
        message: call.query.text("message").unwrap_or_default().to_owned(),
        platform: decode::platform(call.query.text("platform"))?,
    };
    Ok((source, options))
}

pub(crate) async fn load(mut call: Call) -> Outcome {
    let platform = platform_since(&call, 48)?;
    let quiet = call.query.flag_or("quiet", true);
    let reader = reader(&mut call);
    // Docker answers 200 to every load and tells a failure in the stream; so do clients expect it.
    Ok(progress_stream(None, call.engine.image_load(reader, platform), quiet))
}

pub(crate) async fn save(call: Call) -> Outcome {
    let platform = platform_since(&call, 48)?;
    let names: Vec<String> = if call.name.is_empty() {
        call.query
            .all("names")
            .flat_map(|names| names.split(','))
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    } else {
        vec![call.name.clone()]
    };
    // Beyond Docker: what whoever loads the archive has already, as images or as chain ids.
    let since = call.query.all("since").map(str::to_owned).collect();
    let present = call.query.all("present").map(|text| text.parse().map_err(|_| bad_digest(text)));
    let present = present.collect::<Result<Vec<Digest>, Failure>>()?;
    let archive = call.engine.image_save(SaveImages { names, platform, since, present }).await?;
    Ok(respond::stream("application/x-tar", ResponseBody::Stream(archive)))
}

pub(super) fn bad_digest(text: &str) -> Failure {
    Failure::invalid(format!("invalid digest: {text:?}"))
}

/// The request's body for a thread that blocks.
pub(super) fn reader(call: &mut Call) -> ChannelReader {
    let (sender, reader) = ChannelReader::new();
    let mut body = std::mem::replace(&mut call.body, RequestBody::Full(Bytes::new()));
    tokio::spawn(async move {
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| io::Error::new(io::ErrorKind::ConnectionAborted, error));
            // The reader is dropped when it has seen enough.
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    reader
}

/// A failure before the first step is an answer of its own; a later one is the last line of the stream.
pub(super) async fn progress(mut steps: Steps, quiet: bool) -> Outcome {
    let first = match steps.recv().await {
        Some(Err(error)) => return Err(error.into()),
        Some(Ok(step)) => Some(step),
        None => None,
    };
    Ok(progress_stream(first, steps, quiet))
}

fn progress_stream(first: Option<ImageProgress>, mut steps: Steps, quiet: bool) -> hyper::Response<ResponseBody> {
    let (sender, receiver) = mpsc::channel::<Bytes>(64);
    tokio::spawn(async move {
        let mut next = first.map(Ok);
        loop {
            let step = match next.take() {
                Some(step) => step,
                None => tokio::select! {
                    step = steps.recv() => match step { Some(step) => step, None => return },
                    () = sender.closed() => return,
                },
            };
            let line = match step {
                Ok(step) => encode::progress_line(&step, quiet),
                Err(error) => Some(encode::error_line(&Failure::from(error))),
            };
            if let Some(line) = line
                && sender.send(line).await.is_err()
            {
                return;
            }
        }
    });
    respond::stream("application/json", ResponseBody::Stream(receiver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_references_come_in_parts() {
        let text =
            |image: &str, tag: Option<&str>| pull_reference(image, tag).map(|r| r.familiar()).map_err(|f| f.message);
        assert_eq!(text("busybox", Some("1.36")), Ok("busybox:1.36".to_owned()));
        assert_eq!(text("127.0.0.1:5000/a", None), Ok("127.0.0.1:5000/a".to_owned()));
        let digest = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(text("a", Some(&digest)), Ok(format!("a@{digest}")));
        assert_eq!(text("A", None), Err("invalid reference format: repository name (A) must be lowercase".to_owned()));
    }
}
