//! Manifests and indexes, Docker's and OCI's, told apart by their media type.

use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use types::{Digest, Platform};

use crate::Error;
use crate::fetch::sha256;
use crate::registry::Registry;

const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const MANIFESTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

/// Layers.
pub(crate) const OCI_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const OCI_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// The kind before schema 2, signed or not.
const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+";

/// A reference to content.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) digest: Digest,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) media_type: String,
    #[serde(default)]
    platform: Option<Platform>,
}

/// An image's manifest.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    config: Option<serde::de::IgnoredAny>,
}

/// A document as the registry sent it.
pub(crate) struct Raw {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

/// What a document is.
pub(crate) enum Top {
    /// Images for these platforms.
    Index(Vec<Platform>),
    /// One image.
    Image(Manifest),
}

/// Decodes a document.
pub(crate) fn top(which: &str, raw: &Raw) -> Result<Top, Error> {
    if !INDEXES.contains(&raw.media_type.as_str()) {
        return Ok(Top::Image(parse(which, &raw.media_type, &raw.bytes)?));
    }
    let index: Index = decode(which, &raw.bytes)?;
    Ok(Top::Index(index.manifests.into_iter().filter_map(|manifest| manifest.platform).collect()))
}

/// The digest that the registry answered for the reference, and the manifest for the platform.
pub(crate) async fn resolve(
    registry: &Registry,
    which: &str,
    platform: &Platform,
) -> Result<(Digest, Manifest), Error> {
    let Raw { digest: top, media_type, bytes } = fetch(registry, which).await?;
    if !INDEXES.contains(&media_type.as_str()) {
        return Ok((top, parse(which, &media_type, &bytes)?));
    }
    let index: Index = decode(which, &bytes)?;
    let chosen = choose(&index.manifests, platform).ok_or_else(|| Error::NoPlatform(platform.clone()))?;
    let which = chosen.digest.to_string();
    let Raw { media_type, bytes, .. } = fetch(registry, &which).await?;
    Ok((top, parse(&which, &media_type, &bytes)?))
}

/// Gets a document and checks its digest.
pub(crate) async fn fetch(registry: &Registry, which: &str) -> Result<Raw, Error> {
    let accept = [MANIFESTS, INDEXES].concat().join(", ");
    let response = registry.manifest(which, &accept).await?;
    let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let declared = header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let promised = header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
    let url = response.url().to_string();
    let bytes = response.bytes().await.map_err(|error| crate::failure::connect_error(&url, &error))?.to_vec();
    let digest = sha256(&bytes);
    let asked = which.parse::<Digest>().ok();
    for wanted in [asked, promised].into_iter().flatten() {
        if wanted != digest {
            return Err(Error::ManifestVerification(wanted));
        }
    }
    let declared = declared.split(';').next().unwrap_or_default().trim().to_owned();
    Ok(Raw { digest, media_type: media_type(which, declared, &bytes)?, bytes })
}

/// The header decides; some registries send something generic, then the document does.
fn media_type(which: &str, declared: String, bytes: &[u8]) -> Result<String, Error> {
    let known = |kind: &str| INDEXES.contains(&kind) || MANIFESTS.contains(&kind);
    if known(&declared) || declared.starts_with(SCHEMA1) {
        return Ok(declared);
    }
    let kind: Kind = decode(which, bytes)?;
    Ok(match (known(&kind.media_type), kind.manifests.is_some(), kind.config.is_some()) {
        (true, _, _) => kind.media_type,
        (_, true, _) => INDEXES[0].to_owned(),
        (_, _, true) => MANIFESTS[0].to_owned(),
        _ => declared,
    })
}

fn parse(which: &str, media_type: &str, bytes: &[u8]) -> Result<Manifest, Error> {
    if media_type.starts_with(SCHEMA1) {
        return Err(Error::Schema1(which.to_owned()));
    }
    if !MANIFESTS.contains(&media_type) {
        return Err(Error::MediaType(media_type.to_owned()));
    }
    decode(which, bytes)
}

fn decode<T: serde::de::DeserializeOwned>(which: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Answer { url: which.to_owned(), reason: error.to_string() })
}

/// The same variant wins, then the one without; a machine without a variant takes what comes first.
fn choose<'a>(manifests: &'a [Descriptor], platform: &Platform) -> Option<&'a Descriptor> {
    let fits = |descriptor: &&Descriptor| {
        descriptor.platform.as_ref().is_some_and(|p| p.os == platform.os && p.architecture == platform.architecture)
    };
    let variant = |descriptor: &Descriptor| descriptor.platform.as_ref().and_then(|p| p.variant.clone());
    let candidates: Vec<&Descriptor> = manifests.iter().filter(fits).collect();
    let exact = candidates.iter().find(|descriptor| variant(descriptor) == platform.variant);
    let plain = candidates.iter().find(|descriptor| variant(descriptor).is_none());
    exact.or(plain).or(candidates.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_by_platform_and_variant() {
        let descriptor = |byte: u8, text: &str| Descriptor {
            digest: Digest::from_sha256([byte; 32]),
            size: 1,
            media_type: String::new(),
            platform: Platform::parse(text),
        };
        let all = [
            descriptor(1, "unknown/unknown"),
            descriptor(2, "linux/arm/v6"),
            descriptor(3, "linux/arm/v7"),
            descriptor(4, "linux/amd64"),
        ];
        let chosen = |text: &str| {
            choose(&all, &Platform::parse(text).expect("platform"))
                .map(|descriptor| descriptor.digest.hex()[..2].to_owned())
        };
        assert_eq!(chosen("linux/amd64").as_deref(), Some("04"));
        assert_eq!(chosen("linux/arm/v7").as_deref(), Some("03"));
        assert_eq!(chosen("linux/arm").as_deref(), Some("02"));
        assert_eq!(chosen("linux/s390x"), None);
    }

    #[test]
    fn documents_tell_their_kind_when_the_header_does_not() {
        let generic = || "application/octet-stream".to_owned();
        assert_eq!(media_type("x", generic(), br#"{"manifests":[]}"#).ok().as_deref(), Some(INDEXES[0]));
        assert_eq!(media_type("x", generic(), br#"{"config":{}}"#).ok().as_deref(), Some(MANIFESTS[0]));
        let signed = parse("x", "application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}");
        assert!(matches!(signed, Err(Error::Schema1(_))));
    }
}
