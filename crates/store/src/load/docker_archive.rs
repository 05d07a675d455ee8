//! `manifest.json`: what `docker save` writes.

use serde::Deserialize;
use types::{Digest, Reference};

use super::Candidate;
use super::spool::Spool;
use crate::error::ArchiveProblem;
use crate::stream::sha256;
use crate::{Error, Expected, ImageId, Result};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
    #[serde(default)]
    parent: Option<String>,
    /// Our own: the images whose layers were left out.
    #[serde(default)]
    since: Vec<String>,
}

pub(super) fn candidates(spool: &Spool) -> Result<Vec<Candidate>> {
    let items: Vec<Item> = spool.json("manifest.json")?;
    items.into_iter().map(|item| candidate(spool, item)).collect()
}

fn candidate(spool: &Spool, item: Item) -> Result<Candidate> {
    let config = spool.bytes(&item.config)?;
    // Digest-addressed names promise their content.
    if let Some(promised) = digest_of_name(item.config.trim_end_matches(".json"))
        && promised != sha256(&config)
    {
        return Err(Error::Archive(ArchiveProblem::Digest(item.config)));
    }
    let references: Result<Vec<Reference>, _> =
        item.repo_tags.unwrap_or_default().iter().map(|name| name.parse::<Reference>()).collect();
    let layers = item.layers.unwrap_or_default();
    let layers = layers.iter().map(|name| {
        let blob = name.strip_prefix("blobs/sha256/").and_then(|hex| Digest::from_hex(hex).ok());
        // One that is here already may be left out.
        let absent = || match item.since.as_slice() {
            [] => ArchiveProblem::Missing(name.clone()),
            since => ArchiveProblem::Base { layer: name.clone(), since: since.to_vec() },
        };
        (spool.member(name).map_err(|_| absent()), Expected { blob, diff: None })
    });
    Ok(Candidate {
        config,
        references: references?.into_iter().map(Reference::with_default_tag).collect(),
        layers: layers.collect(),
        parent: item.parent.and_then(|parent| parent.parse::<ImageId>().ok()),
    })
}

fn digest_of_name(name: &str) -> Option<Digest> {
    Digest::from_hex(name.rsplit('/').next()?).ok()
}
