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
        Self { max_size, max_file, compress, budget, child: None, older: 0 }
    }

    /// The present file is full: makes room for the next one, if a compressor does not need the names. The lock of a
    /// log that is compressed comes back, to be given to [`Self::turned`].
    pub(crate) fn turn(&mut self, path: &Path, size: u64) -> io::Result<(Turn, Option<std::fs::File>)> {
        let mut held = None;
        if self.compress.is_some() {
            held = if self.child.is_some() { None } else { compress::lock(path)? };
            if held.is_none() {
                let room = self.budget.is_some_and(|budget| self.older + size < budget);
                return Ok((if room { Turn::Grow } else { Turn::Wait }, None));
            }
        }
        files::shift(path, self.max_file, self.compress.is_some())?;
        Ok((Turn::Next, held))
    }

    /// The next file is open: compresses the one before.
    pub(crate) fn turned(&mut self, path: &Path, format: Format, lock: Option<std::fs::File>) -> io::Result<()> {
        if let (Some(codec), Some(lock)) = (self.compress, lock) {
            // A log that cannot be compressed now is compressed with the next file.
            self.child = compress::spawn(path, codec, format, lock).ok();
        }
        self.trim(path)
    }

    /// A child has ended. True when it was the compressor.
    pub(crate) fn ended(&mut self, pid: i32, path: &Path) -> bool {
        let ours = self.child == Some(pid);
        if ours {
            self.child = None;
            // A file that could not be removed now is removed after the next rotation.
            let _ = self.trim(path);
        }
        ours
    }

    pub(crate) fn is_compressing(&self) -> bool {
        self.child.is_some()
    }

    /// Removes the oldest files of a log with a budget. One file that is not compressed yet and the present one must
    /// have room beside them.
    fn trim(&mut self, path: &Path) -> io::Result<()> {
        if let Some(budget) = self.budget {
            let full = self.max_size.unwrap_or(0);
            let files = if self.child.is_some() { 1 } else { 2 };
            self.older = files::trim(path, self.max_file, budget.saturating_sub(files * full))?;
        }
        Ok(())
    }
}
