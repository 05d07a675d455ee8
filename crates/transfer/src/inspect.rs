//! `GET /distribution/{name}/json`: what a registry has under a name, without pulling it.

use serde::Deserialize;
use types::{Digest, Platform, Reference};

use crate::config::Registries;
use crate::manifest::{self, Top};
use crate::registry::Registry;
use crate::{Credentials, Error, fetch};

/// What a registry has under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteImage {
    /// Of its manifest or index.
    pub media_type: String,
    /// Of its manifest or index.
    pub digest: Digest,
    /// Its manifest or index.
    pub document: Vec<u8>,
    /// The platforms it is for.
    pub platforms: Vec<Platform>,
}

/// The members of a configuration that say what it is for.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    variant: Option<String>,
}

/// Looks at an image on its registry, or on the first mirror that has it.
///
/// # Errors
/// Docker's texts, see [`Error`].
pub async fn inspect(
    reference: &Reference,
    credentials: Option<&Credentials>,
    registries: &Registries,
) -> Result<RemoteImage, Error> {
    let reference = reference.clone().with_default_tag();
    let mut first = None;
    for place in registries.places(reference.domain()) {
        let found = async {
            let registry = Registry::connect(&place, &reference, credentials, registries).await?;
            look(&registry, &reference).await
        };
        match found.await {
            Ok(image) => return Ok(image),
            // What a mirror says counts only when the registry itself does not answer.
            Err(error) if !place.mirror && !matches!(error, Error::Connect { .. }) => return Err(error),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or(Error::Canceled))
}

async fn look(registry: &Registry, reference: &Reference) -> Result<RemoteImage, Error> {
    let which = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    // This request's refusal is not worded as that of a pull.
    let raw = manifest::fetch(registry, &which).await.map_err(|error| match error {
        Error::ManifestNotFound { answer, .. } => Error::NotOnRegistry(answer),
        Error::Refused(answer) if answer.starts_with("unauthorized") => {
            Error::Unauthorized(answer.trim_start_matches("unauthorized: ").to_owned())
        }
        other => other,
    })?;
    let platforms = match manifest::top(&which, &raw)? {
        Top::Index(platforms) => platforms,
        // Its documents are about layers; the platform of this engine's images then was but one.
        Top::Schema1 => vec![Platform { os: "linux".to_owned(), architecture: "amd64".to_owned(), variant: None }],
        Top::Image(manifest) => {
            let bytes = fetch::document(registry, &manifest.config).await?;
            let config: Config = serde_json::from_slice(&bytes)
                .map_err(|error| Error::Answer { url: which, reason: error.to_string() })?;
            let Config { architecture, os, variant } = config;
            vec![Platform { os, architecture, variant }]
        }
    };
    Ok(RemoteImage { media_type: raw.media_type, digest: raw.digest, document: raw.bytes, platforms })
}
