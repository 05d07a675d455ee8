//! Temporary directories for work in progress.

use std::path::{Path, PathBuf};

use crate::unfinished::Mark;
use crate::{Result, Store, driver};

/// An empty directory below `tmp`, on the same file system as the blobs; removed with everything in it on drop.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _mark: Mark,
}

impl Store {
    /// Makes a temporary directory; what a crash leaves of it goes at the next start.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn scratch(&self, purpose: &str) -> Result<Scratch> {
        let path = self.0.paths.tmp().join(format!("{purpose}-{}", &driver::random_id()[..16]));
        let mark = self.0.unfinished.mark(&path);
        driver::make_directory(&path, 0o700)?;
        Ok(Scratch { path, _mark: mark })
    }
}

impl Scratch {
    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes it away now and removes it in a quiet moment: freeing the blocks of many files takes its time.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn discard(mut self, store: &Store) -> Result<()> {
        store.remove_later(&std::mem::take(&mut self.path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Discarded.
        if self.path.as_os_str().is_empty() {
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a temporary directory");
        }
    }
}
