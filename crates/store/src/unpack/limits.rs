//! How much an archive may become. A few kilobytes of compressed zeros become as many gigabytes as somebody likes: no
//! ratio tells them from an honest image with an empty disk in it, so the disk itself is the bound. Some of it always
//! stays free for the containers that run and for the daemon's own records.

use std::os::fd::AsFd;
use std::path::Path;

use super::inside;
use crate::{Error, Result};

/// What an archive leaves free of a file system: this part, and never more than [`RESERVE`].
const PART: u64 = 100;
/// Bytes.
const RESERVE: u64 = 512 << 20;
/// So many bytes are written between two looks.
const STEP: u64 = 16 << 20;
/// The largest file with holes in the old form, whose holes are read as zeros: minutes of work, not years.
pub(super) const SPARSE: u64 = 1 << 38;

/// Counts what is written.
#[derive(Debug, Default)]
pub(super) struct Room {
    unseen: u64,
}

impl Room {
    /// Asks for the bytes of a file before they are written.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when too little would stay free.
    pub(super) fn take(&mut self, root: impl AsFd, path: &Path, bytes: u64) -> Result<()> {
        self.unseen = self.unseen.saturating_add(bytes);
        if self.unseen < STEP {
            return Ok(());
        }
        self.unseen = 0;
        let Ok(found) = rustix::fs::fstatvfs(root) else { return Ok(()) };
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let reserve = (found.f_blocks.saturating_mul(found.f_frsize) / PART).min(RESERVE);
        if bytes.saturating_add(reserve) <= free {
            return Ok(());
        }
        let action = "unpack (1% of the disk, at most 512 MiB, stays free)";
        Err(Error::NoSpace { action, path: inside(path) })
    }
}
