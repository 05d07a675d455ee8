//! Reads a log through all its files, from any place, to its end or on and on.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::decode::Decoded;
use crate::ending::Ending;
use crate::error::Error;
use crate::format::Format;
use crate::query::Query;
use crate::source::{Source, begin_at_last, identity_at, successors};
use crate::timestamp::Timestamp;
use crate::watch::Watch;

/// How much is read from the file at a time, in bytes. A chunk has about as much.
const READ: usize = 256 * 1024;
/// The longest wait between two looks at the file: a safety net under inotify.
const PATIENCE: Duration = Duration::from_secs(1);
/// The wait for the new file while the writer rotates.
const ROTATING: Duration = Duration::from_millis(5);

/// What [`Reader::next_chunk`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkState {
    /// Bytes were appended; there may be more.
    Data,
    /// There is and will be nothing more.
    End,
}

/// A position in a log. Blocking: drive it from a thread that may wait.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    format: Format,
    query: Query,
    ending: Option<Arc<Ending>>,
    /// The file being read.
    current: Option<Source>,
    /// Newer files that were there when we looked.
    newer: VecDeque<Source>,
    /// Bytes read and not decoded: `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    watch: Option<Watch>,
    ended: bool,
}

// === impl Reader ===

impl Reader {
    /// Opens the log whose present file is at `path` and finds the place the query begins at. A log that was
    /// never written is empty, not an error. With `query.follow`, `ending` tells when to stop; without an
    /// `ending` a follower never ends (but for `until`).
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Read`].
    pub fn open(path: &Path, format: Format, query: Query, ending: Option<Arc<Ending>>) -> Result<Self, Error> {
        let mut newer = successors(path, None)?;
        if let Some(entries) = query.tail {
            let failed = |source| Error::Read { path: path.to_owned(), source };
            begin_at_last(&mut newer, entries, format).map_err(failed)?;
        } else if let Some(since) = query.since {
            let passed = newer.iter().take_while(|source| source.is_before(since)).count();
            newer.drain(..passed);
        }
        let current = newer.pop_front();
        let path = path.to_owned();
        Ok(Self {
            path,
            format,
            query,
            ending,
            current,
            newer,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            watch: None,
            ended: false,
        })
    }

    /// Appends the next entries to `out`, ready for the client (framed or raw as the query says): about 256
    /// KiB at most, more only when a single entry is longer. Waits for more when following.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Open`], [`Error::Watch`]. The reader is at its end afterwards.
    pub fn next_chunk(&mut self, out: &mut Vec<u8>) -> Result<ChunkState, Error> {
        let before = out.len();
        while !self.ended {
            if self.ending.as_ref().is_some_and(|ending| ending.cancelled()) {
                break;
            }
            // Asked before reading: what was written before the end is then seen by the read.
            let finished = !self.query.follow || self.ending.as_ref().is_some_and(|ending| ending.finished());
            let progress = self.read();
            if progress.is_err() {
                self.ended = true;
            }
            if progress? {
                self.decode_entries(out);
                if out.len() > before {
                    return Ok(ChunkState::Data);
                }
            } else if !self.advance()? {
                if finished || self.past_until() {
                    break;
                }
                self.wait()?;
            }
        }
        self.ended = true;
        Ok(if out.len() > before { ChunkState::Data } else { ChunkState::End })
    }

    /// Reads on; false at the end of the present file.
    fn read(&mut self) -> Result<bool, Error> {
        let Some(source) = &mut self.current else { return Ok(false) };
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        // A line longer than the buffer makes it grow.
        if self.end * 2 > self.buffer.len() || self.buffer.is_empty() {
            self.buffer.resize(self.buffer.len() + READ, 0);
        }
        let failed = |source| Error::Read { path: self.path.clone(), source };
        let length = source.read(&mut self.buffer[self.end..]).map_err(failed)?;
        self.end += length;
        Ok(length > 0)
    }

    fn decode_entries(&mut self, out: &mut Vec<u8>) {
        while let Some(length) = self.next_entry() {
            let entry = &self.buffer[self.start..self.start + length];
            self.start += length;
            if let Some(source) = self.current.as_mut().filter(|source| source.skip > 0) {
                source.skip -= 1;
            } else if self.format.decode(entry, &self.query, out) == Decoded::PastUntil {
                self.ended = true;
                return;
            }
        }
    }

    /// The length of the whole entry that comes next. What is no entry is passed over with the rest of what was read.
    fn next_entry(&mut self) -> Option<usize> {
        match self.format.entry(&self.buffer[self.start..self.end]) {
            Ok(length) => length,
            Err(_) => {
                self.start = self.end;
                None
            }
        }
    }

    /// At the end of a file: goes on to the next one, or to the start of one that was emptied. False when
    /// this is the newest file and nothing is new in it.
    fn advance(&mut self) -> Result<bool, Error> {
        if self.newer.is_empty() && self.query.follow {
            let Some(current) = &mut self.current else {
                self.newer = successors(&self.path, None)?;
                self.current = self.newer.pop_front();
                return Ok(self.current.is_some());
            };
            let failed = |source| Error::Read { path: self.path.clone(), source };
            let emptied = match current.plain() {
                Some(file) => file.metadata().map_err(failed)?.len() < current.offset,
                None => false,
            };
            if emptied {
                current.rewind().map_err(failed)?;
                (self.start, self.end) = (0, 0);
                return Ok(true);
            }
            if identity_at(&self.path) == Some(current.identity) {
                return Ok(false);
            }
            self.newer = successors(&self.path, Some(current.identity))?;
            // The writer may have written between our last read and its renaming.
            if self.read()? {
                return Ok(true);
            }
        }
        let Some(next) = self.newer.pop_front() else { return Ok(false) };
        self.current = Some(next);
        // A torn last line of a file that nobody writes any more.
        (self.start, self.end) = (0, 0);
        Ok(true)
    }

    fn past_until(&self) -> bool {
        self.query.until.is_some_and(|until| Timestamp::now() > until)
    }

    fn wait(&mut self) -> Result<(), Error> {
        let watch = self.watch.get_or_insert_with(Watch::new);
        let mut limit = PATIENCE;
        if let Some(current) = &self.current {
            if current.plain().is_some_and(|file| watch.aim(file, current.identity)) {
                return Ok(());
            }
            if identity_at(&self.path) != Some(current.identity) {
                limit = ROTATING;
            }
        }
        if let Some(until) = self.query.until {
            let left = until.0.saturating_sub(Timestamp::now().0).max(0);
            limit = limit.min(Duration::from_nanos(left.unsigned_abs()) + Duration::from_millis(1));
        }
        let failed = |source| Error::Watch { path: self.path.clone(), source };
        watch.wait(self.ending.as_deref(), limit).map_err(failed)
    }
}
