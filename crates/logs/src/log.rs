//! A container's log as its monitor sees it: a file, a collector, or both.

use std::time::Instant;

use crate::error::Error;
use crate::plan::LogPlan;
use crate::query::Stream;
use crate::remote::{Interest, Remote};
use crate::timestamp::Timestamp;
use crate::writer::FileWriter;

/// An open log.
#[derive(Debug)]
pub struct Log {
    file: Option<FileWriter>,
    remote: Option<Box<Remote>>,
    /// What may wait in memory for a file or a collector that is behind, when the container must not.
    drop_beyond: Option<usize>,
}

// === impl Log ===

impl Log {
    /// Opens the file and connects to the collector; `None` when nothing is recorded.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Connect`].
    pub fn open(plan: LogPlan) -> Result<Option<Self>, Error> {
        let LogPlan { file, remote, drop_beyond } = plan;
        if file.is_none() && remote.is_none() {
            return Ok(None);
        }
        let drop_beyond = drop_beyond.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        // The collector first: a start that fails must not leave an empty file.
        let remote = remote.map(|options| Remote::open(options, drop_beyond)).transpose()?.map(Box::new);
        Ok(Some(Self { file: file.map(FileWriter::open).transpose()?, remote, drop_beyond }))
    }

    /// Takes output of the container; [`Self::flush`] passes it on.
    pub fn append(&mut self, stream: Stream, bytes: &[u8], now: Timestamp) {
        if let Some(file) = &mut self.file {
            let before = file.pending();
            file.append(stream, bytes, now);
            if let Some(limit) = self.drop_beyond {
                file.drop_beyond(before, limit);
            }
        }
        if let Some(remote) = &mut self.remote {
            remote.append(stream, bytes, now);
        }
    }

    /// The stream has ended: an unfinished line is recorded as it is.
    pub fn finish(&mut self, stream: Stream, now: Timestamp) {
        if let Some(file) = &mut self.file {
            file.finish(stream, now);
        }
        if let Some(remote) = &mut self.remote {
            remote.finish(stream, now);
        }
    }

    /// Whether [`Self::flush`] has something to do.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.pending() > 0) || self.remote.is_some()
    }

    /// Whether everything is in the file.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.file.as_ref().is_none_or(|file| file.pending() == 0)
    }

    /// Writes and sends what can be written and sent without waiting. `last`: the container has ended, and nothing
    /// waits for a compressor any more.
    ///
    /// # Errors
    /// As [`FileWriter::flush`]; a collector that fails is no error.
    pub fn flush(&mut self, now: Instant, last: bool) -> Result<(), Error> {
        if let Some(remote) = &mut self.remote {
            remote.flush(now);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.flush(last))
    }

    /// Whether the file is full and waits for a compressor.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.file.as_ref().is_some_and(FileWriter::is_waiting)
    }

    /// Whether the container has to wait until something was written or sent.
    #[must_use]
    pub fn is_full(&self) -> bool {
        (self.drop_beyond.is_none() && self.is_waiting()) || self.remote.as_ref().is_some_and(|remote| remote.is_full())
    }

    /// When [`Self::flush`] may be able to do what it could not do now, if nothing is told before.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let waiting = self.file.as_ref().is_some_and(|file| file.is_waiting() && !file.is_compressing());
        // The compressor of an earlier run is nobody's child.
        let file = waiting.then(|| now + std::time::Duration::from_millis(20));
        file.into_iter().chain(self.remote.as_ref().and_then(|remote| remote.deadline())).min()
    }

    /// The connection to be watched.
    #[must_use]
    pub fn interest(&self) -> Option<Interest<'_>> {
        self.remote.as_ref()?.interest()
    }

    /// The connection can do something, or has ended.
    pub fn ready(&mut self, now: Instant) {
        if let Some(remote) = &mut self.remote {
            remote.ready(now);
        }
    }

    /// Whether the collector has got everything.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.remote.as_ref().is_none_or(|remote| remote.is_empty())
    }

    /// A child of this process has ended; true when it belonged to the log.
    pub fn child_ended(&mut self, pid: i32) -> bool {
        self.file.as_mut().is_some_and(|file| file.child_ended(pid))
    }

    /// Gives back memory that nothing uses at the moment; for the idle container.
    pub fn release(&mut self) {
        if let Some(file) = &mut self.file {
            file.release();
        }
        if let Some(remote) = &mut self.remote {
            remote.release();
        }
    }
}
