//! `index.json`: an OCI image layout (image-spec, "Image Layout").

use std::collections::BTreeMap;

use serde::Deserialize;
use types::{Digest, Platform, Reference};

use super::Candidate;
use super::spool::Spool;
use crate::error::ArchiveProblem;
use crate::stream::sha256;
use crate::{Error, Expected, Result};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    digest: Digest,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// An index or a manifest, told apart by what it has.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// How deep indexes may refer to indexes.
const NESTING: usize = 4;

pub(super) fn candidates(spool: &Spool, platform: &Platform) -> Result<Vec<Candidate>> {
    let index: Document = spool.json("index.json")?;
    let mut found: Vec<(Digest, Candidate)> = Vec::new();
    for descriptor in index.manifests.unwrap_or_default() {
        let references = name(&descriptor.annotations);
        let Some(manifest) = manifest(spool, descriptor.digest, platform, NESTING)? else { continue };
        // One manifest may stand in the index once a name.
        if let Some((_, known)) = found.iter_mut().find(|(digest, _)| *digest == descriptor.digest) {
            known.references.extend(references);
            continue;
        }
        let Some(config) = manifest.config else { continue };
        let layers = manifest.layers.iter().map(|layer| {
            let name = blob_name(layer.digest);
            let member = spool.member(&name).map_err(|_| ArchiveProblem::Missing(name));
            (member, Expected { blob: Some(layer.digest), diff: None })
        });
        let candidate = Candidate {
            config: blob(spool, config.digest)?,
            references: references.into_iter().collect(),
            layers: layers.collect(),
            parent: None,
        };
        found.push((descriptor.digest, candidate));
    }
    Ok(found.into_iter().map(|(_, candidate)| candidate).collect())
}

/// Follows indexes to the manifest for a machine; `None` when there is none for it.
fn manifest(spool: &Spool, digest: Digest, host: &Platform, depth: usize) -> Result<Option<Document>> {
    let name = blob_name(digest);
    let document: Document = serde_json::from_slice(&blob(spool, digest)?)
        .map_err(|error| Error::Document { what: name, reason: error.to_string() })?;
    let Some(manifests) = document.manifests else { return Ok(Some(document)) };
    let fits = |descriptor: &&Descriptor| match &descriptor.platform {
        Some(platform) => platform.os == host.os && platform.architecture == host.architecture,
        None => true,
    };
    match manifests.iter().find(fits) {
        Some(descriptor) if depth > 0 => manifest(spool, descriptor.digest, host, depth - 1),
        _ => Ok(None),
    }
}

/// The name that tools record: containerd's full one, or the specification's, which is often only a tag.
fn name(annotations: &BTreeMap<String, String>) -> Option<Reference> {
    let full = annotations.get("io.containerd.image.name");
    let short = annotations.get("org.opencontainers.image.ref.name").filter(|name| name.contains([':', '/']));
    full.or(short)?.parse::<Reference>().ok().map(Reference::with_default_tag)
}

fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn blob(spool: &Spool, digest: Digest) -> Result<Vec<u8>> {
    let name = blob_name(digest);
    let bytes = spool.bytes(&name)?;
    if sha256(&bytes) == digest { Ok(bytes) } else { Err(Error::Archive(ArchiveProblem::Digest(name))) }
}
