//! What is there and has no owner.

use std::path::Path;

use types::Digest;

use super::Examination;
use crate::driver::Driver;
use crate::{ChainId, ImageId};

impl Examination<'_> {
    pub(super) fn orphans(&mut self) {
        self.digests(&self.paths.blobs(), "a blob of no layer", |this, digest| this.kept.contains(&digest));
        self.digests(&self.paths.diffid_by_digest(), "about a blob that nothing else mentions", |this, digest| {
            this.named.contains(&digest)
        });
        self.digests(&self.paths.image_metadata_all(), "about an image that is not there", |this, digest| {
            this.images.contains(&ImageId(digest)) || this.unsure
        });
        self.digests(&self.paths.partials(), "not what has arrived of a blob", |_, _| true);
        for directory in [self.paths.tmp(), self.paths.layer_records_tmp()] {
            for name in self.list(&directory) {
                self.orphan(directory.join(name), "left by work that ended");
            }
        }
        let directory = self.paths.image_root().to_owned();
        for name in self.list(&directory).into_iter().filter(|name| name.starts_with(".tmp-")) {
            self.orphan(directory.join(name), "left by the replacement of a record");
        }
        self.unsynced();
        self.directories();
        self.short_links();
    }

    /// Marks of layers that may not have reached the disk. One of another boot says that the power went before: the
    /// next start forgets the layer.
    fn unsynced(&mut self) {
        let (directory, boot) = (self.paths.unsynced(), crate::durable::boot());
        if !directory.exists() {
            return;
        }
        for name in self.list(&directory) {
            let mark = directory.join(&name);
            let layer = Digest::from_hex(&name).ok().filter(|digest| self.layers.contains_key(&ChainId(*digest)));
            match layer {
                None if self.unsure => {}
                None => self.orphan(mark, "the mark of a layer that is not there"),
                Some(_) if std::fs::read_to_string(&mark).is_ok_and(|text| text != boot) => {
                    self.damaged(mark, "this layer may not have reached the disk before the power went");
                }
                Some(_) => {}
            }
        }
    }

    fn digests(&mut self, directory: &Path, message: &str, owned: impl Fn(&Self, Digest) -> bool) {
        for name in self.list(directory) {
            // While not every record can be read, a blob may be that of the unreadable one.
            let known = Digest::from_hex(&name).is_ok_and(|digest| self.unsure || owned(self, digest));
            if !known {
                self.orphan(directory.join(name), message);
            }
        }
    }

    /// Directories of the storage driver.
    fn directories(&mut self) {
        if self.unsure {
            return;
        }
        let directory = self.paths.layers().to_owned();
        for name in self.list(&directory) {
            if matches!(name.as_str(), "l" | "backingFsBlockDev") || self.slots.contains(&name) {
                continue;
            }
            self.orphan(directory.join(name), "a directory of no layer");
        }
    }

    fn short_links(&mut self) {
        if self.unsure || self.driver != Driver::Overlay2 {
            return;
        }
        let directory = self.paths.links();
        for name in self.list(&directory) {
            let link = directory.join(&name);
            // That of an orphan goes with it.
            if !self.links.contains(&name) && !link.exists() {
                self.orphan(link, "leads nowhere");
            }
        }
    }
}
