//! `/images`.

use std::io;

use api::system::AuthConfig;
use base64::Engine as _;
use bytes::Bytes;
use engine::model::image::Credentials;
use engine::model::image::{ContainerConfig, ImportOptions};
use engine::{ChannelReader, Error, ImageProgress, ImageQuery};
use hyper::StatusCode;
use hyper::header::HeaderName;
use tokio::sync::mpsc;
use types::{Digest, Reference};

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
        filters,
    };
    let images = call.engine.image_list(query).await?;
    let summaries: Vec<_> = images.iter().map(|image| encode::image_summary(image, call.version)).collect();
    respond::ok(&summaries)
}

pub(crate) async fn inspect(call: Call) -> Outcome {
    if call.since(48) && call.query.flag("manifests") {
        return Err(Failure::unsupported("the parameter \"manifests\""));
    }
    let details = call.engine.image_inspect(&call.name).await?;
    respond::ok(&encode::image_details(&details, call.version))
}

pub(crate) async fn history(call: Call) -> Outcome {
    respond::ok(&encode::history(call.engine.image_history(&call.name).await?))
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

fn repository_and_tag(repository: &str, tag: Option<&str>) -> Result<Reference, Failure> {
    let reference: Reference = repository.parse().map_err(reference_failure)?;
    if reference.digest().is_some() {
        return Err(Failure::invalid("cannot import digest reference"));
    }
    match tag {
        Some(tag) => reference.with_tag(tag).map_err(reference_failure),
        None => Ok(reference.with_default_tag()),
    }
}

fn reference_failure(error: types::InvalidReference) -> Failure {
    Failure::invalid(error.to_string())
}

pub(crate) async fn remove(call: Call) -> Outcome {
    if call.name.trim().is_empty() {
        return Err(Failure::invalid("image name cannot be blank"));
    }
    if call.since(50) && call.query.all("platforms").next().is_some() {
        return Err(Failure::unsupported("the parameter \"platforms\""));
    }
    let removed = call.engine.image_remove(&call.name, call.query.flag("force"), call.query.flag("noprune")).await?;
    respond::ok(&removed.into_iter().map(encode::removed).collect::<Vec<_>>())
}

/// Pull, or import with `fromSrc`.
pub(crate) async fn create(call: Call) -> Outcome {
    match call.query.text("fromImage") {
        Some(image) => {
            let reference = pull_reference(image, call.query.text("tag"))?;
            let platform = decode::platform(call.query.text("platform").filter(|_| call.since(32)))?;
            let credentials = credentials(call.header(HeaderName::from_static("x-registry-auth")))?;
            progress(call.engine.image_pull(reference, platform, credentials), false).await
        }
        None => import(call).await,
    }
}

fn pull_reference(image: &str, tag: Option<&str>) -> Result<Reference, Failure> {
    let reference: Reference = image.parse().map_err(reference_failure)?;
    match tag {
        None => Ok(reference),
        // Clients split `name@sha256:…` at the sign.
        Some(tag) => match tag.parse::<Digest>() {
            Ok(digest) => Ok(reference.with_digest(digest)),
            Err(_) => reference.with_tag(tag).map_err(reference_failure),
        },
    }
}

fn credentials(header: &str) -> Result<Option<Credentials>, Failure> {
    if header.is_empty() {
        return Ok(None);
    }
    let alphabet = base64::alphabet::URL_SAFE;
    let lenient = base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);
    let decoder = base64::engine::GeneralPurpose::new(&alphabet, lenient);
    // Standard base64 differs in two characters only.
    let text = header.replace('+', "-").replace('/', "_");
    let invalid = || Failure::invalid("invalid X-Registry-Auth header: invalid JSON");
    let decoded = decoder.decode(text).map_err(|_| invalid())?;
    let auth: AuthConfig = serde_json::from_slice(&decoded).map_err(|_| invalid())?;
    Ok(if !auth.registry_token.is_empty() {
        Some(Credentials::RegistryToken(auth.registry_token))
    } else if !auth.identity_token.is_empty() {
        Some(Credentials::IdentityToken(auth.identity_token))
    } else if !auth.username.is_empty() {
        Some(Credentials::Basic { username: auth.username, password: auth.password })
    } else {
        None
    })
}

async fn import(mut call: Call) -> Outcome {
    match call.query.text("fromSrc") {
        Some("-") => {}
        Some(_) => return Err(Failure::unsupported("importing from a URL")),
        None => return Err(Failure::invalid("one of fromImage and fromSrc is needed")),
    }
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
    let reader = reader(&mut call);
    progress(call.engine.image_import(reader, options), false).await
}

pub(crate) async fn load(mut call: Call) -> Outcome {
    if call.query.text("platform").is_some() {
        return Err(Failure::unsupported("the parameter \"platform\" of load"));
    }
    let quiet = call.query.flag_or("quiet", true);
    let reader = reader(&mut call);
    // Docker answers 200 to every load and tells a failure in the stream; so do clients expect it.
    Ok(progress_stream(None, call.engine.image_load(reader), quiet))
}

pub(crate) async fn save(call: Call) -> Outcome {
    if call.query.text("platform").is_some() {
        return Err(Failure::unsupported("the parameter \"platform\" of save"));
    }
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
    let archive = call.engine.image_save(names).await?;
    Ok(respond::stream("application/x-tar", ResponseBody::Stream(archive)))
}

/// The request's body for a thread that blocks.
fn reader(call: &mut Call) -> ChannelReader {
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
async fn progress(mut steps: Steps, quiet: bool) -> Outcome {
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

    #[test]
    fn credentials_are_read_from_both_alphabets() {
        let json = br#"{"username":"u?>","password":"p","serveraddress":"x"}"#;
        for encoded in [
            base64::engine::general_purpose::URL_SAFE.encode(json),
            base64::engine::general_purpose::STANDARD.encode(json),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json),
        ] {
            assert!(
                matches!(credentials(&encoded), Ok(Some(Credentials::Basic { username, .. })) if username == "u?>")
            );
        }
        assert!(matches!(credentials("e30="), Ok(None)));
        assert!(credentials("!").is_err());
    }
}
