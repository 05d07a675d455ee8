//! Reading the records of a data root, and clearing what a crash left.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use types::{ContainerId, Digest, LayerId};

use crate::driver::Driver;
use crate::names::Names;
use crate::paths::Paths;
use crate::state::{BlobRecord, ContainerLayer, LayerEntry, State};
use crate::sweep::Sweeper;
use crate::{ChainId, DiffId, Error, Image, ImageConfig, ImageId, Layer, Result};

/// Reads everything. A record that does not parse is reported in the log and left out.
pub(crate) fn read(paths: &Paths, driver: Driver) -> Result<State> {
    let mut state = State { names: Names::read(&paths.repositories())?, ..State::default() };
    read_layers(paths, driver, &mut state);
    let kept: HashSet<DiffId> = state.layers.values().map(|entry| entry.layer.diff).collect();
    for name in list(&paths.v2metadata_by_diffid()) {
        let Ok(diff) = Digest::from_hex(&name).map(DiffId) else { continue };
        // A layer that was going when the daemon died.
        if !kept.contains(&diff) && !state.damaged {
            continue;
        }
        let bytes = fs::read(paths.v2metadata(&diff)).unwrap_or_default();
        let records: Vec<BlobRecord> = serde_json::from_slice(&bytes).unwrap_or_default();
        state.diff_of_blob.extend(records.iter().map(|record| (record.digest, diff)));
        state.blobs.insert(diff, records);
    }
    for name in list(&paths.image_contents()) {
        let Ok(id) = Digest::from_hex(&name).map(ImageId) else { continue };
        match read_image(paths, &state, id) {
            Ok(image) => {
                state.images.insert(id, Arc::new(image));
            }
            Err(error) => tracing::warn!(image = %id, %error, "leaving out an image"),
        }
    }
    let ids: Vec<ImageId> = state.images.keys().copied().collect();
    ids.iter().for_each(|id| state.refresh_names(id));
    for name in list(&paths.mounts()) {
        let Ok(container) = name.parse::<ContainerId>() else { continue };
        match read_container(paths, driver, &container) {
            Ok(layer) => {
                state.containers.insert(container, layer);
            }
            Err(error) => {
                tracing::error!(container = %container, %error, "leaving out a container layer; nothing is swept");
                state.damaged = true;
            }
        }
    }
    Ok(state)
}

fn read_layers(paths: &Paths, driver: Driver, state: &mut State) {
    let mut found = Vec::new();
    for name in list(&paths.layer_records()) {
        let Ok(chain) = Digest::from_hex(&name).map(ChainId) else { continue };
        match read_layer(paths, driver, chain) {
            Ok(entry) => found.push(entry),
            Err(error) => {
                tracing::error!(layer = %chain, %error, "leaving out a layer; nothing is swept");
                state.damaged = true;
            }
        }
    }
    // Parents first, so that depths add up and a layer without its parents stays out.
    while !found.is_empty() {
        let before = found.len();
        found.retain_mut(|entry| {
            let depth = match entry.layer.parent {
                None => 0,
                Some(parent) => match state.layers.get(&parent) {
                    Some(parent) => parent.depth,
                    None => return true,
                },
            };
            entry.depth = depth + 1;
            state.layers.insert(entry.layer.chain, entry.clone());
            false
        });
        if found.len() == before {
            tracing::warn!(count = before, "leaving out layers whose parents are gone");
            return;
        }
    }
}

fn read_layer(paths: &Paths, driver: Driver, chain: ChainId) -> Result<LayerEntry> {
    let directory = paths.layer_record(&chain);
    let parent = directory.join("parent");
    let layer = Layer {
        chain,
        diff: parse(&directory.join("diff"))?,
        parent: if parent.exists() { Some(parse(&parent)?) } else { None },
        size: parse(&directory.join("size"))?,
    };
    let id: LayerId = parse(&directory.join("cache-id"))?;
    let slot = driver.read(paths, id.as_str())?;
    let diff = driver.diff(paths, &slot.id);
    fs::symlink_metadata(&diff).map_err(|source| Error::io("stat", &diff, source))?;
    Ok(LayerEntry { layer, slot, depth: 0 })
}

fn read_image(paths: &Paths, state: &State, id: ImageId) -> Result<Image> {
    let path = paths.image_content(&id);
    let raw = fs::read(&path).map_err(|source| Error::io("read", &path, source))?;
    if crate::stream::sha256(&raw) != id.0 {
        return Err(Error::Document { what: path.display().to_string(), reason: "digest mismatch".to_owned() });
    }
    let metadata = paths.image_metadata(&id);
    let mut image = image_from(state, id, raw)?;
    image.parent = parse(&metadata.join("parent")).ok();
    image.last_tag_time = text(&metadata.join("lastUpdated")).ok();
    Ok(image)
}

/// Makes the snapshot of an image from its document; all its layers have to be here.
pub(crate) fn image_from(state: &State, id: ImageId, raw: Vec<u8>) -> Result<Image> {
    let config: ImageConfig = serde_json::from_slice(&raw)
        .map_err(|error| Error::Document { what: "image configuration".to_owned(), reason: error.to_string() })?;
    let chain = chain_ids(&config.rootfs.diff_ids);
    let mut size = 0;
    for chain in &chain {
        size += state.layers.get(chain).ok_or_else(|| Error::NoSuchLayer(chain.to_string()))?.layer.size;
    }
    Ok(Image {
        id,
        config: Arc::new(config),
        raw: raw.into(),
        chain,
        size,
        parent: None,
        repo_tags: Vec::new(),
        repo_digests: Vec::new(),
        last_tag_time: None,
    })
}

fn read_container(paths: &Paths, driver: Driver, container: &ContainerId) -> Result<ContainerLayer> {
    let directory = paths.mount(container);
    let parent = directory.join("parent");
    // Both become paths that are removed one day: an empty one would name the directory of all layers.
    let id: LayerId = parse(&directory.join("mount-id"))?;
    let path = directory.join("init-id");
    let init = text(&path)?;
    if init.strip_suffix("-init") != Some(id.as_str()) {
        return Err(Error::Document { what: path.display().to_string(), reason: format!("{init:?}, not {id}-init") });
    }
    Ok(ContainerLayer {
        slot: driver.read(paths, id.as_str())?,
        init,
        image: None,
        parent: if parent.exists() { Some(parse(&parent)?) } else { None },
        pinned: crate::image_mount::read_pins(&directory)?,
    })
}

/// The chain id of each layer, bottom first (OCI image-spec, "Layer ChainID"): the base's is its diff id; every other one hashes its parent's and its own.
#[must_use]
pub fn chain_ids(diffs: &[DiffId]) -> Vec<ChainId> {
    let mut chain: Vec<ChainId> = Vec::with_capacity(diffs.len());
    for diff in diffs {
        chain.push(child_chain(chain.last().copied(), *diff));
    }
    chain
}

/// The chain id of a layer on top of `parent`.
pub(crate) fn child_chain(parent: Option<ChainId>, diff: DiffId) -> ChainId {
    match parent {
        None => ChainId(diff.0),
        Some(parent) => ChainId(crate::stream::sha256(format!("{parent} {diff}").as_bytes())),
    }
}

/// Removes what work in progress left when the daemon died: archives in passing, directories and blobs that
/// no record mentions. Directories are renamed here and removed later, so that the start does not wait for them.
/// While a record cannot be read, what it mentions is not known, and no directory or blob goes.
pub(crate) fn clear_leftovers(paths: &Paths, driver: Driver, sweeper: &Sweeper, state: &State) {
    let mut gone = Vec::new();
    for directory in [paths.tmp(), paths.layer_records_tmp()] {
        gone.extend(list(&directory).into_iter().map(|name| directory.join(name)));
    }
    if state.damaged {
        return take_all(sweeper, gone);
    }
    let known = |digest: Digest| state.diff_of_blob.contains_key(&digest);
    for directory in [paths.blobs(), paths.diffid_by_digest()] {
        let unknown = list(&directory).into_iter().filter(|name| !Digest::from_hex(name).is_ok_and(known));
        gone.extend(unknown.map(|name| directory.join(name)));
    }
    let known = |diff: Digest| state.blobs.contains_key(&DiffId(diff));
    for name in list(&paths.v2metadata_by_diffid()) {
        if !Digest::from_hex(&name).is_ok_and(known) {
            gone.push(paths.v2metadata_by_diffid().join(name));
        }
    }
    let known = |id: Digest| state.images.contains_key(&ImageId(id)) || paths.image_content(&ImageId(id)).exists();
    for name in list(&paths.image_metadata_all()) {
        if !Digest::from_hex(&name).is_ok_and(known) {
            gone.push(paths.image_metadata_all().join(name));
        }
    }
    // Records that were being replaced.
    for directory in [paths.image_root().to_owned(), paths.image_contents()] {
        let temporary = list(&directory).into_iter().filter(|name| name.starts_with(".tmp-"));
        gone.extend(temporary.map(|name| directory.join(name)));
    }
    let mut known: HashSet<&str> = state.layers.values().map(|entry| entry.slot.id.as_str()).collect();
    for container in state.containers.values() {
        known.extend([container.slot.id.as_str(), container.init.as_str()]);
    }
    known.extend(["l", crate::init_layer::SHARED]);
    let layers: Vec<String> = list(paths.layers())
        .into_iter()
        .filter(|name| !known.contains(name.as_str()) && paths.layer(name).is_dir())
        .collect();
    // Unmentioned layers lose their short links, then everything goes the usual way.
    for name in layers {
        if let Err(error) = driver.remove(paths, sweeper, &name) {
            tracing::warn!(layer = name, %error, "cannot remove a leftover");
        }
    }
    // Of one whose directory went and whose short link did not.
    let slots = state.layers.values().map(|entry| &entry.slot).chain(state.containers.values().map(|own| &own.slot));
    let mut links: HashSet<&str> = slots.map(|slot| slot.link.as_str()).collect();
    links.insert(crate::init_layer::LINK);
    let unknown = list(&paths.links()).into_iter().filter(|name| !links.contains(name.as_str()));
    gone.extend(unknown.map(|name| paths.links().join(name)).filter(|link| !link.exists()));
    take_all(sweeper, gone);
}

fn take_all(sweeper: &Sweeper, gone: Vec<PathBuf>) {
    for path in gone {
        let removed = if path.is_dir() {
            sweeper.take(std::slice::from_ref(&path))
        } else {
            fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))
        };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "cannot remove a leftover");
        }
    }
}

/// Names in a directory; none when it cannot be read.
pub(crate) fn list(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

pub(crate) fn text(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
    Ok(text.trim_end().to_owned())
}

pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(path: &Path) -> Result<T> {
    text(path)?
        .parse()
        .map_err(|error: T::Err| Error::Document { what: path.display().to_string(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_follow_the_specification() {
        let diff = |byte: u8| DiffId(Digest::from_sha256([byte; 32]));
        let chain = chain_ids(&[diff(1), diff(2)]);
        assert_eq!(chain[0].0, diff(1).0);
        let text = format!("{} {}", diff(1), diff(2));
        assert_eq!(chain[1].0, crate::stream::sha256(text.as_bytes()));
        assert!(chain_ids(&[]).is_empty());
    }
}
