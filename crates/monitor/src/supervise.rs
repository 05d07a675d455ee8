//! From the death of a process to the end of the monitor.

use std::path::Path;
use std::time::{Duration, Instant};

use logs::Timestamp;
use rustix::process::{WaitOptions, WaitStatus, wait};
use serde::Serialize;

use crate::error::Error;
use crate::monitor::Monitor;
use crate::protocol::{CONTROL_SOCKET, EXIT_RECORD, ExitRecord, MONITOR_RECORD, Reply};

/// How long the output is still read when somebody outside the container keeps it open, and how long
/// execs that are being killed may take.
const DRAIN: Duration = Duration::from_secs(2);
/// How long a collector may take for what the container wrote last, as with Docker.
const COLLECTOR: Duration = Duration::from_secs(10);
/// A log that cannot be written holds the end up for ten times this long.
const LOG_PAUSE: Duration = Duration::from_millis(100);

/// How far the container's life has come.
#[derive(Debug)]
pub(crate) enum Stage {
    Running,
    /// The main process is dead; what it wrote is still being read.
    Draining {
        code: i32,
        signal: Option<i32>,
        finished: Timestamp,
        until: Instant,
    },
    /// The record is written and everybody was told; slow readers get what is theirs.
    Leaving {
        record: ExitRecord,
        /// The collector of the log is not waited for any longer.
        patience: Instant,
    },
}

// === impl Stage ===

impl Stage {
    pub(crate) fn main_ended(&self) -> bool {
        !matches!(self, Self::Running)
    }

    pub(crate) fn record(&self) -> Option<&ExitRecord> {
        match self {
            Self::Leaving { record, .. } => Some(record),
            _ => None,
        }
    }
}

// === impl Monitor ===

impl Monitor {
    /// Collects every dead child: the main process, execs, and orphans that came to us.
    pub(crate) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            let (code, signal) = exit_code(status);
            if pid == self.container.pid {
                self.main_died(code, signal);
            } else if let Some(exec) = self.execs.take(pid) {
                let event = Reply::ExecExited { exec_id: exec.exec_id, code };
                self.connections.announce(&event, Some(exec.asker), &self.poller);
            } else {
                self.streams.log_child_ended(pid);
            }
        }
    }

    /// Takes the next step towards the end if its time has come. True when the monitor may go.
    pub(crate) fn advance(&mut self, now: Instant) -> Result<bool, Error> {
        if let Stage::Draining { code, signal, finished, until } = self.stage {
            if now >= until {
                self.streams.abandon_outputs(&self.poller);
            }
            let busy = !self.execs.is_empty() || self.streams.log_waits();
            if self.streams.outputs_closed() && (!busy || now >= until) {
                self.finish(code, signal, finished)?;
            }
        }
        let Stage::Leaving { patience, .. } = self.stage else { return Ok(false) };
        self.streams.drop_stalled(now, 0, &self.poller);
        let recorded = self.streams.log_sent() || now >= patience;
        Ok(recorded && self.streams.clients_served() && self.connections.all_sent())
    }

    /// When [`Self::advance`] has to be called even if nothing happens.
    pub(crate) fn stage_deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Running => None,
            Stage::Draining { until, .. } => Some(*until),
            Stage::Leaving { patience, .. } => {
                let collector = (!self.streams.log_sent()).then_some(*patience);
                self.streams.client_deadline().into_iter().chain(collector).min()
            }
        }
    }

    fn main_died(&mut self, code: i32, signal: Option<i32>) {
        let until = Instant::now() + DRAIN;
        self.stage = Stage::Draining { code, signal, finished: Timestamp::now(), until };
        // A pid namespace dies with its first process; otherwise the others are killed here.
        if let (false, Some(cgroup)) = (self.container.own_pids, &self.container.cgroup) {
            let _ = cgroup.kill(types::Signal::KILL);
        }
        // Terminals closed inside are looked at once more, as closed for ever.
        self.streams.end_terminal(&self.poller);
    }

    /// Records the end and tells of it. In this order: whoever knows of the end may start the container again
    /// at once, and must not meet its old control group or socket.
    fn finish(&mut self, code: i32, signal: Option<i32>, finished: Timestamp) -> Result<(), Error> {
        for _ in 0..10 {
            if self.streams.flush_log_now(&self.poller) {
                break;
            }
            std::thread::sleep(LOG_PAUSE);
        }
        let mut oom_killed = false;
        // The end of the group would wake it.
        let told = self.unwatch_memory();
        if let Some(cgroup) = &self.container.cgroup {
            oom_killed = told || cgroup.oom_kills().is_ok_and(|kills| kills > 0);
            // The daemon removes what is left when it removes the container.
            let _ = cgroup.remove();
        }
        let record = ExitRecord { code, signal, oom_killed, finished_at: finished.to_rfc3339_nano() };
        write_record(&self.run_dir.join(EXIT_RECORD), &record)?;
        self.close_listener();
        for name in [CONTROL_SOCKET, MONITOR_RECORD] {
            let _ = std::fs::remove_file(self.run_dir.join(name));
        }
        self.announce_end(&record);
        if !self.streams.log_sent() {
            // What is sent to a collector now must not keep the root file system mounted.
            self.mount_namespace = None;
        }
        self.stage = Stage::Leaving { record, patience: Instant::now() + COLLECTOR };
        Ok(())
    }
}

/// The shell's convention: 128 + signal.
fn exit_code(status: WaitStatus) -> (i32, Option<i32>) {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code, None),
        (None, Some(signal)) => (128 + signal, Some(signal)),
        (None, None) => (255, None),
    }
}

/// Writes a record so that readers see all of it or nothing. Not durable: the exec root is a tmpfs.
pub(crate) fn write_record<T: Serialize>(path: &Path, record: &T) -> Result<(), Error> {
    let failed = |source| Error::Record { path: path.to_owned(), source };
    let bytes = serde_json::to_vec(record).map_err(|error| failed(error.into()))?;
    sys::atomic_file::write_atomic(path, &bytes, 0o600).map_err(failed)
}
