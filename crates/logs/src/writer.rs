//! Writes a log file: many entries per write(2), rotation by size, no entry torn.
//!
//! When the file system is full the container must live on. Entries that cannot be written are kept, up to
//! [`PENDING_LIMIT`] bytes, and tried again with every later flush; beyond that limit new ones are dropped whole and
//! counted ([`FileWriter::dropped`]). What is in the file is always whole entries but for the one being completed at
//! the moment of the failure, which is completed first.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::encode::Encoder;
use crate::error::Error;
use crate::files::Codec;
use crate::format::Format;
use crate::local;
use crate::query::Stream;
use crate::record::Recorder;
use crate::rotation::{Rotation, Turn};
use crate::timestamp::Timestamp;

/// The most that is kept of what could not be written, in bytes.
pub const PENDING_LIMIT: usize = 4 * 1024 * 1024;

/// How a log file is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOptions {
    /// The file written to. Older ones get `.1`, `.2`, … appended, and `.gz` or `.zst` when compressed.
    pub path: PathBuf,
    /// How entries stand in it.
    pub format: Format,
    /// A file that has reached this many bytes is rotated before the next entry, as in Docker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    /// The number of files kept, the present one included. With 1 the file is emptied instead of renamed.
    pub max_file: u32,
    /// Rotated files are compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compress: Option<Codec>,
    /// The bytes that all files together may have: the oldest are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
    /// Written with every line ([`Format::Json`] only).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attrs: BTreeMap<String, String>,
}

/// An open log file.
#[derive(Debug)]
pub struct FileWriter {
    path: PathBuf,
    format: Format,
    rotation: Rotation,
    file: File,
    size: u64,
    encoder: Entries,
    /// Encoded entries that are not in the file yet.
    pending: Vec<u8>,
    /// The bytes at the start of `pending` that complete an entry whose beginning is in the file.
    torn: usize,
    /// The file is full and cannot be rotated at the moment.
    waiting: bool,
    failing: bool,
    dropped: u64,
}

/// Bytes to entries.
#[derive(Debug)]
enum Entries {
    Json(Encoder),
    Local(Recorder),
}

// === impl FileOptions ===

impl FileOptions {
    /// A file that grows for ever.
    #[must_use]
    pub fn new(path: PathBuf, format: Format) -> Self {
        Self { path, format, max_size: None, max_file: 1, compress: None, budget: None, attrs: BTreeMap::new() }
    }
}

// === impl FileWriter ===

impl FileWriter {
    /// Opens the file, creating it with mode 0640, and goes on at its end.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn open(options: FileOptions) -> Result<Self, Error> {
        let FileOptions { path, format, max_size, max_file, compress, budget, attrs } = options;
        let (file, mut size) = match open(&path, OFlags::empty()) {
            Err(Error::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                make_directory(&path)?;
                open(&path, OFlags::empty())?
            }
            opened => opened?,
        };
        if format == Format::Local && size > 0 {
            let opened = |source| Error::Open { path: path.clone(), source };
            size = mend(&path, &file, size).map_err(opened)?;
        }
        let encoder = match format {
            Format::Json => Entries::Json(Encoder::new(&attrs)),
            Format::Local => Entries::Local(Recorder::default()),
        };
        let rotation = Rotation::new(max_size, max_file, compress, budget);
        let pending = Vec::new();
        Ok(Self {
            path,
            format,
            rotation,
            file,
            size,
            encoder,
            pending,
            torn: 0,
            waiting: false,
            failing: false,
            dropped: 0,
        })
    }

    /// Takes output of the container. Nothing reaches the file before [`Self::flush`]; call that once per
    /// batch.
    pub fn append(&mut self, stream: Stream, bytes: &[u8], now: Timestamp) {
        let (before, out) = (self.pending.len(), &mut self.pending);
        match &mut self.encoder {
            Entries::Json(encoder) => encoder.append(stream, bytes, now, out),
            Entries::Local(recorder) => recorder.append(stream, bytes, now, |record| local::encode(&record, out)),
        }
        self.enforce_limit(before);
    }

    /// The stream has ended: an unfinished line is recorded as it is.
    pub fn finish(&mut self, stream: Stream, now: Timestamp) {
        let (before, out) = (self.pending.len(), &mut self.pending);
        match &mut self.encoder {
            Entries::Json(encoder) => encoder.finish(stream, now, out),
            Entries::Local(recorder) => recorder.finish(stream, now, |record| local::encode(&record, out)),
        }
        self.enforce_limit(before);
    }

    /// Writes what is pending, rotating where due. Less is written while the file waits for its rotation
    /// ([`Self::is_waiting`]), unless this is the `last` flush.
    ///
    /// # Errors
    /// [`Error::Write`]: the rest stays pending and the call can be repeated. [`Error::Rotate`]: everything
    /// was written, to a file that is larger than wanted.
    pub fn flush(&mut self, last: bool) -> Result<(), Error> {
        let mut rotation = Ok(());
        let mut start = 0;
        self.waiting = false;
        while start < self.pending.len() {
            let mut end = self.pending.len();
            if self.torn > 0 {
                end = start + self.torn;
            } else if let Some(max_size) = self.rotation.max_size.filter(|_| !last && rotation.is_ok()) {
                if self.size >= max_size {
                    match self.rotate() {
                        Ok(Turn::Wait) => {
                            self.waiting = true;
                            break;
                        }
                        other => rotation = other.map(drop),
                    }
                }
                if self.size < max_size {
                    let room = usize::try_from(max_size - self.size).unwrap_or(usize::MAX);
                    end = start + self.format.boundary(&self.pending[start..], room);
                }
            }
            match rustix::io::retry_on_intr(|| rustix::io::write(&self.file, &self.pending[start..end])) {
                Ok(written) => {
                    self.size += written as u64;
                    self.torn = match self.torn.checked_sub(written) {
                        Some(rest) => rest,
                        None => self.format.boundary(&self.pending[start..end], written) - written,
                    };
                    start += written;
                }
                Err(errno) => {
                    self.pending.drain(..start);
                    self.failing = true;
                    return Err(Error::Write { path: self.path.clone(), source: errno.into() });
                }
            }
        }
        self.pending.drain(..start);
        self.failing = false;
        rotation
    }

    /// Bytes that are encoded but not in the file.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The file is full and a compressor has to end before anything can be written.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Whether a process of ours compresses older files.
    #[must_use]
    pub fn is_compressing(&self) -> bool {
        self.rotation.is_compressing()
    }

    /// A child of this process has ended; true when it was the compressor.
    pub fn child_ended(&mut self, pid: i32) -> bool {
        self.rotation.ended(pid, &self.path)
    }

    /// Entries lost because the file could not be written for too long.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Gives back memory that nothing uses at the moment; for the idle container.
    pub fn release(&mut self) {
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        match &mut self.encoder {
            Entries::Json(encoder) => encoder.release(),
            Entries::Local(recorder) => recorder.release(),
        }
    }

    /// Forgets new entries that are more than may wait; for a file that must not hold its container up.
    pub fn drop_beyond(&mut self, before: usize, limit: usize) {
        if self.waiting && self.pending.len() > limit {
            self.drop_from(before);
        }
    }

    fn enforce_limit(&mut self, before: usize) {
        if self.failing && self.pending.len() > PENDING_LIMIT {
            self.drop_from(before);
        }
    }

    fn drop_from(&mut self, before: usize) {
        let mut at = before;
        while let Ok(Some(length)) = self.format.entry(&self.pending[at..]) {
            self.dropped += 1;
            at += length;
        }
        self.pending.truncate(before);
    }

    fn rotate(&mut self) -> Result<Turn, Error> {
        let failed = |source| Error::Rotate { path: self.path.clone(), source };
        if self.rotation.max_file <= 1 {
            self.file.set_len(0).map_err(failed)?;
            self.size = 0;
            return Ok(Turn::Next);
        }
        let (turn, lock) = self.rotation.turn(&self.path, self.size).map_err(failed)?;
        if turn == Turn::Next {
            let full = self.size;
            // The new file is opened before the old one is let go: a failure leaves a log to write to.
            let (file, size) = open(&self.path, OFlags::TRUNC)?;
            (self.file, self.size) = (file, size);
            self.rotation.turned(&self.path, self.format, full, lock).map_err(failed)?;
        }
        Ok(turn)
    }
}

/// A log may have a directory of its own.
fn make_directory(path: &Path) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let made = std::fs::DirBuilder::new().mode(0o700).create(directory);
    made.map_err(|source| Error::Open { path: path.to_owned(), source })
}

fn open(path: &Path, extra: OFlags) -> Result<(File, u64), Error> {
    let failed = |source: io::Error| Error::Open { path: path.to_owned(), source };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW | extra;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
    let file = File::from(rustix::fs::open(path, flags, mode).map_err(|errno| failed(errno.into()))?);
    let size = file.metadata().map_err(failed)?.len();
    Ok((file, size))
}

/// Cuts off an entry of the `local` format that a killed writer left unfinished, so that what follows can be read;
/// returns the new size.
fn mend(path: &Path, writable: &File, size: u64) -> io::Result<u64> {
    let file = File::open(path)?;
    let mut length = [0; local::LENGTH];
    if size >= 2 * local::LENGTH as u64 {
        file.read_exact_at(&mut length, size - local::LENGTH as u64)?;
        let entry = u64::from(u32::from_be_bytes(length)) + 2 * local::LENGTH as u64;
        if entry <= size {
            let mut opening = [0; local::LENGTH];
            file.read_exact_at(&mut opening, size - entry)?;
            if opening == length {
                return Ok(size);
            }
        }
    }
    let bytes = std::fs::read(path)?;
    let mut whole = 0;
    while let Ok(Some(length)) = local::entry_length(&bytes[whole..]) {
        whole += length;
    }
    writable.set_len(whole as u64)?;
    Ok(whole as u64)
}
