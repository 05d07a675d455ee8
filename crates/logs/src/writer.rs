//! Writes a json-file log: many lines per write(2), rotation by size, no line torn.
//!
//! When the file system is full the container must live on. Lines that cannot be written are kept, up to
//! [`PENDING_LIMIT`] bytes, and tried again with every later flush; beyond that limit new lines are dropped
//! whole and counted ([`JsonFileWriter::dropped`]). What is in the file is always whole lines but for the
//! line being completed at the moment of the failure, which is completed first.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::encode::Encoder;
use crate::error::Error;
use crate::files;
use crate::query::Stream;
use crate::timestamp::Timestamp;

/// The most that is kept of what could not be written, in bytes.
pub const PENDING_LIMIT: usize = 4 * 1024 * 1024;

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct JsonFileOptions {
    /// The file written to. Older ones get `.1`, `.2`, … appended.
    pub path: PathBuf,
    /// A file that has reached this many bytes is rotated before the next line, as in Docker.
    pub max_size: Option<u64>,
    /// The number of files kept, the present one included. With 1 the file is emptied instead of renamed.
    pub max_file: u32,
    /// Written with every line.
    pub attrs: BTreeMap<String, String>,
}

/// An open log.
#[derive(Debug)]
pub struct JsonFileWriter {
    options: JsonFileOptions,
    file: File,
    size: u64,
    encoder: Encoder,
    /// Encoded lines that are not in the file yet.
    pending: Vec<u8>,
    failing: bool,
    dropped: u64,
}

// === impl JsonFileWriter ===

impl JsonFileWriter {
    /// Opens the file, creating it with mode 0640, and goes on at its end.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn open(options: JsonFileOptions) -> Result<Self, Error> {
        let (file, size) = open(&options.path, OFlags::empty())?;
        let encoder = Encoder::new(&options.attrs);
        Ok(Self { options, file, size, encoder, pending: Vec::new(), failing: false, dropped: 0 })
    }

    /// Takes output of the container. Nothing reaches the file before [`Self::flush`]; call that once per
    /// batch.
    pub fn append(&mut self, stream: Stream, bytes: &[u8], now: Timestamp) {
        let before = self.pending.len();
        self.encoder.append(stream, bytes, now, &mut self.pending);
        self.enforce_limit(before);
    }

    /// The stream has ended: an unfinished line is recorded as it is.
    pub fn finish(&mut self, stream: Stream, now: Timestamp) {
        let before = self.pending.len();
        self.encoder.finish(stream, now, &mut self.pending);
        self.enforce_limit(before);
    }

    /// Writes what is pending, rotating where due.
    ///
    /// # Errors
    /// [`Error::Write`]: the rest stays pending and the call can be repeated. [`Error::Rotate`]: everything
    /// was written, to a file that is larger than wanted.
    pub fn flush(&mut self) -> Result<(), Error> {
        let mut rotation = Ok(());
        let mut start = 0;
        while start < self.pending.len() {
            let mut end = self.pending.len();
            if let Some(max_size) = self.options.max_size {
                if self.size >= max_size && self.at_line_start(start) && rotation.is_ok() {
                    rotation = self.rotate();
                }
                if rotation.is_ok() {
                    end = start + lines_until(&self.pending[start..], max_size.saturating_sub(self.size));
                }
            }
            match rustix::io::retry_on_intr(|| rustix::io::write(&self.file, &self.pending[start..end])) {
                Ok(written) => {
                    start += written;
                    self.size += written as u64;
                }
                Err(errno) => {
                    self.pending.drain(..start);
                    self.failing = true;
                    return Err(Error::Write { path: self.options.path.clone(), source: errno.into() });
                }
            }
        }
        self.pending.clear();
        self.failing = false;
        rotation
    }

    /// Bytes that are encoded but not in the file.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Lines lost because the file could not be written for too long.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Gives back memory that nothing uses at the moment; for the idle container.
    pub fn release(&mut self) {
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        self.encoder.release();
    }

    /// Whether `pending[start..]` begins a line: after a torn write the first thing to do is to complete the
    /// line in the file it began in.
    fn at_line_start(&self, start: usize) -> bool {
        self.pending[start..].starts_with(b"{\"log\":\"")
    }

    fn enforce_limit(&mut self, before: usize) {
        if self.failing && self.pending.len() > PENDING_LIMIT {
            self.dropped += memchr::memchr_iter(b'\n', &self.pending[before..]).count() as u64;
            self.pending.truncate(before);
        }
    }

    fn rotate(&mut self) -> Result<(), Error> {
        let failed = |source| Error::Rotate { path: self.options.path.clone(), source };
        if self.options.max_file <= 1 {
            self.file.set_len(0).map_err(failed)?;
            self.size = 0;
            return Ok(());
        }
        files::shift(&self.options.path, self.options.max_file).map_err(failed)?;
        // The new file is opened before the old one is let go: a failure leaves a log to write to.
        let (file, size) = open(&self.options.path, OFlags::TRUNC)?;
        (self.file, self.size) = (file, size);
        Ok(())
    }
}

fn open(path: &Path, extra: OFlags) -> Result<(File, u64), Error> {
    let failed = |source: io::Error| Error::Open { path: path.to_owned(), source };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW | extra;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
    let file = File::from(rustix::fs::open(path, flags, mode).map_err(|errno| failed(errno.into()))?);
    let size = file.metadata().map_err(failed)?.len();
    Ok((file, size))
}

/// The length of the whole lines with which a file that has `room` left becomes full: the line that crosses
/// the limit belongs to them.
fn lines_until(bytes: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if room >= bytes.len() {
        return bytes.len();
    }
    let from = room.saturating_sub(1);
    memchr::memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |newline| from + newline + 1)
}
