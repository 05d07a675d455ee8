//! The streams' log: written once per round of the loop, sent when the collector takes it.

use std::time::{Duration, Instant};

use logs::{Error, Log};
use rustix::event::epoll::EventFlags;

use crate::poller::{Poller, Token};
use crate::streams::Streams;

/// A log that cannot be written is tried again after this time.
const LOG_RETRY: Duration = Duration::from_secs(1);

// === impl Streams ===

impl Streams {
    /// Writes the log's batch; once per round of the loop.
    pub(crate) fn flush_log(&mut self, poller: &Poller) {
        self.flush(false, poller);
    }

    /// Writes the log's batch without regard for earlier failures, and for compressors that are at work; true when
    /// nothing is left to write.
    pub(crate) fn flush_log_now(&mut self, poller: &Poller) -> bool {
        self.log_retry = None;
        self.flush(true, poller);
        self.log.as_ref().is_none_or(Log::is_written)
    }

    fn flush(&mut self, last: bool, poller: &Poller) {
        let Some(log) = &mut self.log else { return };
        if log.has_pending() && self.log_retry.is_none_or(|at| at <= Instant::now()) {
            // A full disk must not end the container: the lines are kept and tried again.
            let now = Instant::now();
            let failed = matches!(log.flush(now, last), Err(Error::Write { .. }));
            self.log_retry = failed.then(|| now + LOG_RETRY);
            self.watch_log(poller);
            self.hold(poller);
        }
    }

    /// The connection to the collector can do something.
    pub(crate) fn log_ready(&mut self, poller: &Poller) {
        if let Some(log) = &mut self.log {
            log.ready(Instant::now());
            self.watch_log(poller);
            self.hold(poller);
        }
    }

    /// A child has ended; true when it worked for the log.
    pub(crate) fn log_child_ended(&mut self, pid: i32) -> bool {
        self.log.as_mut().is_some_and(|log| log.child_ended(pid))
    }

    /// Whether a file that is full has to be compressed before more can be written.
    pub(crate) fn log_waits(&self) -> bool {
        self.log.as_ref().is_some_and(Log::is_waiting)
    }

    /// Whether the collector has got everything.
    pub(crate) fn log_sent(&self) -> bool {
        self.log.as_ref().is_none_or(Log::is_sent)
    }

    /// When [`Self::flush_log`] has something to do that no descriptor tells of.
    pub(crate) fn log_deadline(&self) -> Option<Instant> {
        let log = self.log.as_ref()?;
        [self.log_retry, log.deadline(Instant::now())].into_iter().flatten().min()
    }

    /// Brings what is watched in line with the connection there is.
    fn watch_log(&mut self, poller: &Poller) {
        let Some(interest) = self.log.as_ref().and_then(Log::interest) else {
            self.log_watched = None;
            return;
        };
        let wanted = (interest.generation, interest.write);
        if self.log_watched == Some(wanted) {
            return;
        }
        let mut flags = EventFlags::IN | EventFlags::RDHUP;
        flags.set(EventFlags::OUT, interest.write);
        // A socket that was closed is forgotten by the poller itself.
        let watched = match self.log_watched {
            Some((generation, _)) if generation == wanted.0 => poller.change(interest.fd, Token::Log, flags),
            _ => poller.add(interest.fd, Token::Log, flags),
        };
        self.log_watched = watched.is_ok().then_some(wanted);
    }
}
