//! Manifests and indexes, Docker's and OCI's, told apart by their media type.

use std::collections::BTreeMap;

use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use types::{Digest, Platform};

use crate::Error;
use crate::fetch::{bounded, sha256};
use crate::registry::Registry;
use crate::schema1::{self, SCHEMA1, Schema1};

const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const MANIFESTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

/// Layers.
pub(crate) const OCI_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const OCI_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// A manifest is not larger than this, bytes (Docker's limit).
const LIMIT: usize = 4 << 20;
/// An image has no more layers than can be mounted.
const MOST_LAYERS: usize = 125;
/// Indexes within indexes that are looked into, one below the other, and in all.
const DEEPEST: usize = 3;
const MOST_INDEXES: usize = 16;

/// Configurations of images. The odd ones are what registries have made of it (Docker's list).
const CONFIGURATIONS: [&str; 6] = [
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/octet-stream",
    "application/json",
    "text/html",
    "",
];
const PLUGIN: &str = "application/vnd.docker.plugin.v1+json";

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
    /// Other places of a layer that registries may not hand out.
    #[serde(default)]
    pub(crate) urls: Option<Vec<String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
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
    #[serde(default)]
    schema_version: u64,
    #[serde(default)]
    fs_layers: Option<serde::de::IgnoredAny>,
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
    /// One image of the kind before schema 2.
    Schema1,
}

/// What a reference means on a machine.
pub(crate) enum Resolved {
    Image(Manifest),
    Schema1(Schema1),
}

/// Decodes a document.
pub(crate) fn top(which: &str, raw: &Raw) -> Result<Top, Error> {
    if raw.media_type.starts_with(SCHEMA1) {
        return Schema1::parse(which, &raw.bytes).map(|_| Top::Schema1);
    }
    if !INDEXES.contains(&raw.media_type.as_str()) {
        return Ok(Top::Image(parse(which, &raw.media_type, &raw.bytes)?));
    }
    let index: Index = decode(which, &raw.bytes)?;
    let images = index.manifests.into_iter().filter(|descriptor| !descriptor.is_attestation());
    Ok(Top::Index(images.filter_map(|manifest| manifest.platform).collect()))
}

/// The digest that the registry answered for the reference, and the manifest for the platform.
pub(crate) async fn resolve(
    registry: &Registry,
    which: &str,
    platform: &Platform,
) -> Result<(Digest, Resolved), Error> {
    let raw = fetch(registry, which).await?;
    let top = raw.digest;
    if !INDEXES.contains(&raw.media_type.as_str()) {
        return Ok((top, raw.resolved(which)?));
    }
    // Indexes that are still to be looked into, with their depth.
    let mut pending = vec![(decode::<Index>(which, &raw.bytes)?, 1)];
    let mut seen = vec![top];
    while let Some((index, depth)) = pending.pop() {
        if let Some(chosen) = choose(&index.manifests, platform) {
            let which = chosen.digest.to_string();
            let raw = fetch(registry, &which).await?;
            if !INDEXES.contains(&raw.media_type.as_str()) {
                return Ok((top, raw.resolved(&which)?));
            }
            look_into(&mut pending, &mut seen, raw, depth + 1)?;
            continue;
        }
        for nested in index.manifests.iter().filter(|nested| INDEXES.contains(&nested.media_type.as_str())) {
            let raw = fetch(registry, &nested.digest.to_string()).await?;
            look_into(&mut pending, &mut seen, raw, depth + 1)?;
        }
    }
    Err(Error::NoPlatform(platform.clone()))
}

/// Notes an index that is within another one.
fn look_into(pending: &mut Vec<(Index, usize)>, seen: &mut Vec<Digest>, raw: Raw, depth: usize) -> Result<(), Error> {
    let which = raw.digest.to_string();
    let wrong = |reason: &str| Error::Answer { url: which.clone(), reason: reason.to_owned() };
    if seen.contains(&raw.digest) {
        return Err(wrong("an index leads back to itself"));
    }
    if depth > DEEPEST || seen.len() >= MOST_INDEXES {
        return Err(wrong("too many indexes within indexes"));
    }
    seen.push(raw.digest);
    pending.push((decode(&which, &raw.bytes)?, depth));
    Ok(())
}

/// Gets a document and checks its digest.
pub(crate) async fn fetch(registry: &Registry, which: &str) -> Result<Raw, Error> {
    let old = [format!("{SCHEMA1}prettyjws"), format!("{SCHEMA1}json")];
    let accept = [MANIFESTS, INDEXES].concat().join(", ") + ", " + &old.join(", ");
    let response = registry.manifest(which, &accept).await?;
    let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let declared = header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let promised = header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
    let bytes = bounded(response, LIMIT).await?;
    let declared = declared.split(';').next().unwrap_or_default().trim().to_owned();
    let media_type = media_type(which, declared, &bytes)?;
    let digest = if media_type.starts_with(SCHEMA1) { schema1::digest(&bytes) } else { sha256(&bytes) };
    let asked = which.parse::<Digest>().ok();
    for wanted in [asked, promised].into_iter().flatten() {
        if wanted != digest {
            return Err(Error::ManifestVerification(wanted));
        }
    }
    Ok(Raw { digest, media_type, bytes })
}

impl Raw {
    fn resolved(&self, which: &str) -> Result<Resolved, Error> {
        match self.media_type.starts_with(SCHEMA1) {
            true => Schema1::parse(which, &self.bytes).map(Resolved::Schema1),
            false => parse(which, &self.media_type, &self.bytes).map(Resolved::Image),
        }
    }
}

impl Descriptor {
    /// A blob of which only the digest is known.
    pub(crate) fn of(digest: Digest) -> Self {
        Self { digest, size: 0, media_type: String::new(), platform: None, urls: None, annotations: None }
    }

    /// What builders say about an image, beside the images of an index.
    fn is_attestation(&self) -> bool {
        let kind = self.annotations.as_ref().and_then(|all| all.get("vnd.docker.reference.type"));
        kind.is_some_and(|kind| kind == "attestation-manifest")
    }
}

/// The header decides; some registries send something generic, then the document does.
pub(crate) fn media_type(which: &str, declared: String, bytes: &[u8]) -> Result<String, Error> {
    let known = |kind: &str| INDEXES.contains(&kind) || MANIFESTS.contains(&kind);
    if known(&declared) || declared.starts_with(SCHEMA1) {
        return Ok(declared);
    }
    let kind: Kind = decode(which, bytes)?;
    let old = kind.schema_version == 1 && kind.fs_layers.is_some();
    Ok(match (known(&kind.media_type), kind.manifests.is_some(), kind.config.is_some()) {
        _ if old => format!("{SCHEMA1}json"),
        (true, _, _) => kind.media_type,
        (_, true, _) => INDEXES[0].to_owned(),
        (_, _, true) => MANIFESTS[0].to_owned(),
        _ => declared,
    })
}

fn parse(which: &str, media_type: &str, bytes: &[u8]) -> Result<Manifest, Error> {
    if !MANIFESTS.contains(&media_type) {
        return Err(Error::MediaType(media_type.to_owned()));
    }
    let manifest: Manifest = decode(which, bytes)?;
    if !CONFIGURATIONS.contains(&manifest.config.media_type.as_str()) {
        let class = if manifest.config.media_type == PLUGIN { "plugin" } else { "unknown" };
        return Err(Error::Class { media_type: manifest.config.media_type, class });
    }
    let wrong = |reason: String| Error::Answer { url: which.to_owned(), reason };
    if manifest.layers.len() > MOST_LAYERS {
        return Err(wrong(format!(
            "{} layers are more than the {MOST_LAYERS} that can be mounted",
            manifest.layers.len()
        )));
    }
    match manifest.layers.iter().find(|layer| layer.size == 0 && layer.digest != sha256(b"")) {
        Some(layer) => Err(wrong(format!("the layer {} has no size", layer.digest))),
        None => Ok(manifest),
    }
}

fn decode<T: serde::de::DeserializeOwned>(which: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Answer { url: which.to_owned(), reason: error.to_string() })
}

/// The same variant wins, then the one without; a machine without a variant takes what comes first.
fn choose<'a>(manifests: &'a [Descriptor], platform: &Platform) -> Option<&'a Descriptor> {
    let fits = |descriptor: &&Descriptor| {
        if descriptor.is_attestation() {
            return false;
        }
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
            platform: Platform::parse(text),
            ..Descriptor::of(Digest::from_sha256([byte; 32]))
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
        let old = media_type("x", generic(), br#"{"schemaVersion":1,"fsLayers":[]}"#);
        assert_eq!(old.ok().as_deref(), Some("application/vnd.docker.distribution.manifest.v1+json"));
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let blob = Digest::from_sha256([1; 32]);
        let text = |config: &str, size: u64, layers: usize| {
            let layer = format!(r#"{{"digest":"{blob}","size":{size}}}"#);
            let layers = vec![layer; layers].join(",");
            format!(r#"{{"config":{{"digest":"{blob}","size":1,"mediaType":"{config}"}},"layers":[{layers}]}}"#)
        };
        let refusal = |text: String| parse("x", MANIFESTS[0], text.as_bytes()).err().map(|error| error.to_string());
        assert_eq!(refusal(text(CONFIGURATIONS[1], 1, 2)), None);
        assert_eq!(
            refusal(text("application/vnd.example.chart", 1, 1)).as_deref(),
            Some("Encountered remote \"application/vnd.example.chart\"(unknown) when fetching")
        );
        assert_eq!(
            refusal(text(PLUGIN, 1, 1)).as_deref(),
            Some("Encountered remote \"application/vnd.docker.plugin.v1+json\"(plugin) when fetching")
        );
        assert!(refusal(text("", 0, 1)).is_some_and(|words| words.contains("has no size")));
        assert!(refusal(text("", 1, 126)).is_some_and(|words| words.contains("126 layers are more than")));
    }
}
