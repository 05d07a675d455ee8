//! When a log file gives way to the next one, and what becomes of the older ones.

use std::io;
use std::path::Path;

use crate::compress;
use crate::files::{self, Codec};
use crate::format::Format;

/// The rules, and the compressor at work.
#[derive(Debug)]
pub(crate) struct Rotation {
    pub(crate) max_size: Option<u64>,
    pub(crate) max_file: u32,
    pub(crate) compress: Option<Codec>,
    /// The bytes that all files together may have.
    pub(crate) budget: Option<u64>,
    /// The process that compresses.
    child: Option<i32>,
    /// Bytes in the older files, as last seen.
    older: u64,
    /// The size of the file that is being compressed: its copy may become as large.
    packing: u64,
}

/// What can be done with a file that is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The names are free: open the next one, then call [`Rotation::turned`].
    Next,
    /// Go on in the same file.
    Grow,
    /// Write nothing until the compressor is done.
    Wait,
}

// === impl Rotation ===

impl Rotation {
    pub(crate) fn new(max_size: Option<u64>, max_file: u32, compress: Option<Codec>, budget: Option<u64>) -> Self {
        Self { max_size, max_file, compress, budget, child: None, older: 0, packing: 0 }
    }

    /// The present file is full: makes room for the next one, if a compressor does not need the names. The lock of a
    /// log that is compressed comes back, to be given to [`Self::turned`].
    pub(crate) fn turn(&mut self, path: &Path, size: u64) -> io::Result<(Turn, Option<std::fs::File>)> {
        let mut held = None;
        if self.compress.is_some() {
            held = if self.child.is_some() { None } else { compress::lock(path)? };
            if held.is_none() {
                return Ok((if self.may_grow(size) { Turn::Grow } else { self.hurry() }, None));
            }
        }
        files::shift(path, self.max_file, self.compress.is_some())?;
        Ok((Turn::Next, held))
    }

    /// Whether a full file may become larger while the one before is compressed. Not without end: it is compressed
    /// in one piece itself.
    fn may_grow(&self, size: u64) -> bool {
        let whole = self.max_size.unwrap_or(u64::MAX).saturating_mul(2);
        self.budget.is_some_and(|budget| size < whole && self.older + self.packing + size < budget)
    }

    /// The container waits for the compressor, which is no background work any more.
    fn hurry(&self) -> Turn {
        if let Some(pid) = self.child.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::setpriority_process(Some(pid), 0);
        }
        Turn::Wait
    }

    /// The next file is open: compresses the one before, which has this size.
    pub(crate) fn turned(
        &mut self,
        path: &Path,
        format: Format,
        size: u64,
        lock: Option<std::fs::File>,
    ) -> io::Result<()> {
        if let (Some(codec), Some(lock)) = (self.compress, lock) {
            // A log that cannot be compressed now is compressed with the next file.
            self.child = compress::spawn(path, codec, format, lock).ok();
        }
        self.packing = if self.child.is_some() { size } else { 0 };
        self.trim(path)
    }

    /// A child has ended. True when it was the compressor.
    pub(crate) fn ended(&mut self, pid: i32, path: &Path) -> bool {
        let ours = self.child == Some(pid);
        if ours {
            (self.child, self.packing) = (None, 0);
            // A file that could not be removed now is removed after the next rotation.
            let _ = self.trim(path);
        }
        ours
    }

    pub(crate) fn is_compressing(&self) -> bool {
        self.child.is_some()
    }

    /// Removes the oldest files of a log with a budget. While one is compressed, its copy must have room; otherwise the
    /// present file, the next one and the copy of the first, so that a busy container need not wait.
    fn trim(&mut self, path: &Path) -> io::Result<()> {
        if let Some(budget) = self.budget {
            let full = self.max_size.unwrap_or(0);
            let reserve = match (self.child, self.compress) {
                (Some(_), _) => self.packing,
                (None, Some(_)) => 3 * full,
                (None, None) => full,
            };
            self.older = files::trim(path, self.max_file, budget.saturating_sub(reserve))?;
        }
        Ok(())
    }
}
