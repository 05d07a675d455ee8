//! What is being made right now: paths that no record mentions yet although they have an owner.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The paths of work in progress.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unfinished(Arc<Mutex<HashSet<PathBuf>>>);

/// Says that a path has an owner, until it is dropped.
#[derive(Debug)]
pub(crate) struct Mark {
    all: Unfinished,
    path: PathBuf,
}

impl Unfinished {
    /// Call before the path is made; drop the mark when it is recorded or removed.
    pub(crate) fn mark(&self, path: &Path) -> Mark {
        self.lock().insert(path.to_owned());
        Mark { all: self.clone(), path: path.to_owned() }
    }

    pub(crate) fn has(&self, path: &Path) -> bool {
        self.lock().contains(path)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.all.lock().remove(&self.path);
    }
}
