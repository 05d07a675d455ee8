//! Blobs, images and their names.

use std::fs::{self, File};

use types::Digest;

use super::Examination;
use super::layers::words;
use crate::names::Names;
use crate::state::BlobRecord;
use crate::stream::{HashingReader, drain, sha256};
use crate::{ChainId, DiffId, ImageConfig, ImageId, chain_ids};

/// Of a blob whose content is not what its name says.
pub(super) const WRONG_DIGEST: &str = "its content has another digest";

impl Examination<'_> {
    /// What is known of blobs, and the blobs that are kept.
    pub(super) fn blobs(&mut self) {
        let directory = self.paths.v2metadata_by_diffid();
        for name in self.list(&directory) {
            let record = directory.join(&name);
            let known = Digest::from_hex(&name).map(DiffId).ok().filter(|diff| self.diffs.contains(diff));
            let Some(diff) = known else {
                self.orphan(record, "of a layer that is not there");
                continue;
            };
            let parsed = fs::read(&record)
                .map_err(|error| error.to_string())
                .and_then(|bytes| serde_json::from_slice::<Vec<BlobRecord>>(&bytes).map_err(|error| error.to_string()));
            match parsed {
                Ok(records) => self.kept_blob(diff, &records),
                Err(error) => {
                    self.unsure = true;
                    self.damaged(record, error);
                }
            }
        }
        let unkept: Vec<DiffId> =
            self.diffs.iter().filter(|diff| !self.paths.v2metadata(diff).exists()).copied().collect();
        for diff in unkept {
            self.missing(self.paths.v2metadata(&diff), "where the content of a layer is kept");
        }
    }

    /// The first of the records is that of the blob kept here.
    fn kept_blob(&mut self, diff: DiffId, records: &[BlobRecord]) {
        self.named.extend(records.iter().map(|record| record.digest));
        let Some(record) = records.first() else {
            self.missing(self.paths.v2metadata(&diff), "names no blob");
            return;
        };
        self.kept.insert(record.digest);
        let path = self.paths.blob(&record.digest);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if !metadata.is_file() => self.damaged(path, "not a file"),
            Ok(metadata) if metadata.len() != record.size => {
                self.damaged(path, format!("{} bytes, not {}", metadata.len(), record.size));
            }
            Ok(_) if self.deep => self.hash(record.digest),
            Ok(_) => self.report.blobs += 1,
            Err(_) => self.missing(path, format!("the blob of layer content {diff}")),
        }
    }

    fn hash(&mut self, digest: Digest) {
        let path = self.paths.blob(&digest);
        let hashed = File::open(&path).and_then(|file| {
            let (mut reader, hash) = HashingReader::new(file);
            drain(&mut reader)?;
            Ok(hash)
        });
        match hashed {
            Ok(hash) => {
                self.report.blobs += 1;
                self.report.hashed += hash.bytes();
                if hash.digest() != digest {
                    self.damaged(path, WRONG_DIGEST);
                }
            }
            Err(error) => self.damaged(path, error.to_string()),
        }
    }

    pub(super) fn images(&mut self) {
        let directory = self.paths.image_contents();
        let mut tops: Vec<ChainId> = self.container_tops();
        for name in self.list(&directory) {
            let path = directory.join(&name);
            let Ok(id) = Digest::from_hex(&name).map(ImageId) else {
                self.orphan(path, "not an image");
                continue;
            };
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.unsure = true;
                    self.damaged(path, error.to_string());
                    continue;
                }
            };
            if sha256(&bytes) != id.0 {
                self.unsure = true;
                self.damaged(path, WRONG_DIGEST);
                continue;
            }
            let config: ImageConfig = match serde_json::from_slice(&bytes) {
                Ok(config) => config,
                Err(error) => {
                    self.unsure = true;
                    self.damaged(path, error.to_string());
                    continue;
                }
            };
            self.images.insert(id);
            let chain = chain_ids(&config.rootfs.diff_ids);
            for layer in chain.iter().filter(|layer| !self.layers.contains_key(layer)).copied().collect::<Vec<_>>() {
                self.missing(self.paths.layer_record(&layer), format!("a layer of image {}", id.short()));
            }
            tops.extend(chain.last());
        }
        self.report.images = self.images.len();
        if !self.unsure {
            for record in self.unused_layers(&tops) {
                self.orphan(record, "a layer that no image and no container has");
            }
        }
    }

    pub(super) fn names(&mut self) {
        let path = self.paths.repositories();
        match Names::read(&path) {
            Ok(names) => {
                for (name, id) in names.all() {
                    self.report.names += 1;
                    if !self.images.contains(&id) {
                        self.missing(
                            self.paths.image_content(&id),
                            format!("the image that is named {}", name.familiar()),
                        );
                    }
                }
                for name in names.unreadable() {
                    self.damaged(&path, format!("{name:?} is not the name of an image"));
                }
            }
            Err(error) => self.damaged(path, words(&error)),
        }
    }
}
