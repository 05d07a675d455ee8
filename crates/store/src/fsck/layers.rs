//! Layers of images and of containers: records, directories, short links.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use types::{ContainerId, Digest, LayerId};

use super::Examination;
use crate::driver::{Driver, Slot};
use crate::records::{child_chain, parse, text};
use crate::{ChainId, DiffId, Result};

/// A layer's record as it is on the disk.
pub(super) struct Found {
    diff: DiffId,
    parent: Option<ChainId>,
    /// `None` when it cannot be read.
    slot: Option<Slot>,
}

impl Examination<'_> {
    pub(super) fn layers(&mut self) {
        let directory = self.paths.layer_records();
        for name in self.list(&directory) {
            let record = directory.join(&name);
            let Ok(chain) = Digest::from_hex(&name).map(ChainId) else {
                self.orphan(record, "not the record of a layer");
                continue;
            };
            match self.layer_record(&record) {
                Ok(found) => drop(self.layers.insert(chain, found)),
                Err(error) => {
                    self.unsure = true;
                    self.damaged(record, words(&error));
                }
            }
        }
        self.report.layers = self.layers.len();
        let chains: Vec<ChainId> = self.layers.keys().copied().collect();
        chains.iter().for_each(|chain| self.chain(chain));
        self.diffs = self.layers.values().map(|found| found.diff).collect();
    }

    fn layer_record(&mut self, record: &Path) -> Result<Found> {
        let parent = record.join("parent");
        let id: LayerId = parse(&record.join("cache-id"))?;
        if !self.slots.insert(id.to_string()) {
            self.damaged(record, format!("shares the directory {id} with another layer"));
        }
        let _: u64 = parse(&record.join("size"))?;
        Ok(Found {
            diff: parse(&record.join("diff"))?,
            parent: if parent.exists() { Some(parse(&parent)?) } else { None },
            slot: self.slot(id.as_str()),
        })
    }

    /// Reads a directory of the storage driver and checks its short link.
    fn slot(&mut self, id: &str) -> Option<Slot> {
        let directory = self.paths.layer(id);
        let diff = self.driver.diff(self.paths, id);
        if !diff.is_dir() {
            self.missing(diff, "the files of a layer");
            return None;
        }
        let slot = match self.driver.read(self.paths, id) {
            Ok(slot) => slot,
            Err(error) => {
                self.damaged(directory, words(&error));
                return None;
            }
        };
        if self.driver == Driver::Overlay2 {
            self.link(&slot.link, &format!("../{id}/diff"));
        }
        Some(slot)
    }

    fn link(&mut self, name: &str, target: &str) {
        let link = self.paths.links().join(name);
        match std::fs::read_link(&link) {
            Ok(found) if found == Path::new(target) => {}
            Ok(found) => self.damaged(&link, format!("leads to {}, not to {target}", found.display())),
            Err(_) => self.missing(&link, format!("the short name of {target}")),
        }
        self.links.insert(name.to_owned());
    }

    /// Whether a layer's identity and what its directory says of the layers below are right.
    fn chain(&mut self, chain: &ChainId) {
        let record = self.paths.layer_record(chain);
        let Some(found) = self.layers.get(chain) else { return };
        let (parent, right) = (found.parent, child_chain(found.parent, found.diff));
        let below = found.parent.map(|parent| self.layers.get(&parent));
        let gone = matches!(below, Some(None));
        let expected = match below {
            None => Some(String::new()),
            Some(Some(below)) => below.slot.as_ref().map(Slot::lower_of_child),
            Some(None) => None,
        };
        let lower = found.slot.as_ref().map(|slot| (slot.id.clone(), slot.lower.clone()));
        if right != *chain {
            self.damaged(&record, format!("content and parent make {right}"));
        }
        if gone && let Some(parent) = parent {
            let missing = self.paths.layer_record(&parent);
            self.missing(missing, format!("the layer below {chain}"));
        }
        if let (Some(expected), Some((id, lower))) = (expected, lower)
            && self.driver == Driver::Overlay2
            && expected != lower
        {
            self.damaged(self.paths.layer(&id).join("lower"), format!("says {lower:?}, not {expected:?}"));
        }
    }

    /// Containers' layers; `known` tells which containers there are.
    pub(super) fn containers(&mut self, known: &dyn Fn(&ContainerId) -> bool) {
        let directory = self.paths.mounts();
        if self.driver == Driver::Overlay2 && self.paths.layer(crate::init_layer::SHARED).exists() {
            self.slots.insert(crate::init_layer::SHARED.to_owned());
            self.slot(crate::init_layer::SHARED);
        }
        for name in self.list(&directory) {
            let record = directory.join(&name);
            let Ok(container) = name.parse::<ContainerId>() else {
                self.orphan(record, "not the record of a container's layer");
                continue;
            };
            self.report.containers += 1;
            if let Err(error) = self.container(&record) {
                self.unsure = true;
                self.damaged(&record, words(&error));
            }
            if !known(&container) {
                self.orphan(record, format!("the layer of container {}, which is not there", container.short()));
            }
            self.containers.push(container);
        }
    }

    fn container(&mut self, record: &Path) -> Result<()> {
        let id: LayerId = parse(&record.join("mount-id"))?;
        let init = text(&record.join("init-id"))?;
        self.slots.extend([id.to_string(), init.clone()]);
        if init.strip_suffix("-init") != Some(id.as_str()) {
            self.damaged(record.join("init-id"), format!("says {init:?}, not {id}-init"));
        }
        let parent = record.join("parent");
        let parent: Option<ChainId> = if parent.exists() { Some(parse(&parent)?) } else { None };
        for chain in parent.into_iter().chain(crate::image_mount::read_pins(record)?) {
            if !self.layers.contains_key(&chain) {
                let missing = self.paths.layer_record(&chain);
                self.missing(missing, format!("a layer below container {}", name_of(record)));
            }
        }
        let init_directory = self.paths.layer(&init);
        if !init_directory.exists() {
            self.missing(init_directory, "what is between image and container");
        }
        let slot = self.slot(id.as_str());
        let lower = self.container_lower(parent);
        if let (Some(slot), Some(lower), Driver::Overlay2) = (slot, lower, self.driver)
            && slot.lower != lower
        {
            let path = self.paths.layer(id.as_str()).join("lower");
            self.damaged(path, format!("says {:?}, not {lower:?}", slot.lower));
        }
        Ok(())
    }

    /// What a container's `lower` file should say; `None` where that is not known.
    fn container_lower(&self, parent: Option<ChainId>) -> Option<String> {
        let below = match parent {
            None => String::new(),
            Some(parent) => self.layers.get(&parent)?.slot.as_ref()?.lower_of_child(),
        };
        let shared = self.driver.read(self.paths, crate::init_layer::SHARED).ok()?;
        Some(Slot { lower: below, ..shared }.lower_of_child())
    }

    /// Which layers images and containers need; the others are in nobody's use.
    pub(super) fn unused_layers(&self, wanted: &[ChainId]) -> Vec<PathBuf> {
        let mut used: HashMap<ChainId, bool> = self.layers.keys().map(|chain| (*chain, false)).collect();
        for top in wanted {
            let mut next = Some(*top);
            while let Some(chain) = next.take() {
                if let Some(seen) = used.get_mut(&chain).filter(|seen| !**seen) {
                    *seen = true;
                    next = self.layers.get(&chain).and_then(|found| found.parent);
                }
            }
        }
        used.into_iter().filter(|(_, used)| !used).map(|(chain, _)| self.paths.layer_record(&chain)).collect()
    }

    /// The topmost layers that containers need.
    pub(super) fn container_tops(&self) -> Vec<ChainId> {
        let mut tops = Vec::new();
        for container in &self.containers {
            let record = self.paths.mount(container);
            tops.extend(parse::<ChainId>(&record.join("parent")).ok());
            tops.extend(crate::image_mount::read_pins(&record).unwrap_or_default());
        }
        tops
    }
}

fn name_of(record: &Path) -> String {
    record.file_name().map(|name| name.to_string_lossy().chars().take(12).collect()).unwrap_or_default()
}

/// An error with its cause.
pub(super) fn words(error: &crate::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
