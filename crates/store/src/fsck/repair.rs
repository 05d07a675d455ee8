//! Removes what a check has found to have no owner, and nothing else.

use std::path::Path;

use types::Digest;

use super::{ProblemKind, Report};
use crate::{ChainId, DiffId, Store};

impl Store {
    /// Removes the orphans of a report, each one only when it still is one.
    pub(super) fn repair(&self, report: &mut Report) {
        for problem in report.problems.iter_mut().filter(|problem| problem.kind == ProblemKind::Orphan) {
            match self.repair_one(&problem.path) {
                Ok(()) => problem.repaired = std::fs::symlink_metadata(&problem.path).is_err(),
                Err(error) => tracing::warn!(path = %problem.path.display(), %error, "cannot remove an orphan"),
            }
        }
    }

    fn repair_one(&self, path: &Path) -> crate::Result<()> {
        let (inner, parent) = (&self.0, path.parent().unwrap_or(Path::new("/")));
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let digest = Digest::from_hex(name).ok();
        // Whoever makes it anew meanwhile does so before or after this.
        let state = inner.state();
        if inner.unfinished.has(path) || state.damaged {
            return Ok(());
        }
        let paths = &inner.paths;
        if parent == paths.layer_records() {
            drop(state);
            digest.into_iter().for_each(|digest| drop(self.collect(ChainId(digest))));
            return Ok(());
        }
        let owned = if parent == paths.blobs() || parent == paths.diffid_by_digest() {
            digest.is_some_and(|digest| state.diff_of_blob.contains_key(&digest))
        } else if parent == paths.v2metadata_by_diffid() {
            digest.is_some_and(|digest| state.blobs.contains_key(&DiffId(digest)))
        } else if parent == paths.image_metadata_all() {
            digest.is_some_and(|digest| state.images.keys().any(|id| id.0 == digest))
        } else if parent == paths.mounts() {
            state.containers.keys().any(|container| container.as_str() == name)
        } else if parent == paths.layers() {
            let layers = state.layers.values().map(|entry| entry.slot.id.as_str());
            let containers = state.containers.values().flat_map(|layer| [layer.slot.id.as_str(), layer.init.as_str()]);
            layers.chain(containers).any(|id| id == name)
        } else {
            false
        };
        if owned {
            return Ok(());
        }
        if parent == paths.layers() {
            return inner.driver.remove(paths, &inner.sweeper, name);
        }
        inner.sweeper.take(&[path.to_owned()])
    }
}
