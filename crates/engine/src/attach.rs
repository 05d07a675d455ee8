//! Attaching clients to a container's streams, and its log.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use logs::{ChunkState, Ending, Query, Reader};
use monitor::protocol::AttachOptions;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::container::{Command, Container};
use crate::engine::Engine;
use crate::error::{Error, Invalid, StateConflict};
use crate::exec::AttachStream;
use crate::model::ContainerState;

/// Chunks in flight between the log's reader and the client.
const IN_FLIGHT: usize = 8;

/// How old a command is at least when its log is read.
const FIRST_WORDS: Duration = Duration::from_millis(150);

/// What a client wants to be connected to.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttachRequest {
    /// Stay connected; otherwise only `logs` is answered.
    pub stream: bool,
    /// Feed stdin.
    pub stdin: bool,
    /// See stdout.
    pub stdout: bool,
    /// See stderr.
    pub stderr: bool,
    /// See what was written before.
    pub logs: bool,
}

/// What a client wants of a log. Times are inclusive.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogQuery {
    /// Show stdout.
    pub stdout: bool,
    /// Show stderr.
    pub stderr: bool,
    /// Wait for more until the container ends.
    pub follow: bool,
    /// Nothing earlier.
    pub since: Option<Timestamp>,
    /// Nothing later.
    pub until: Option<Timestamp>,
    /// Put the time before each entry.
    pub timestamps: bool,
    /// Only the last entries.
    pub tail: Option<u64>,
    /// Put the attributes before each entry.
    pub details: bool,
}

/// A log on its way to a client; dropping it ends the reading.
#[derive(Debug)]
pub struct LogStream {
    /// Raw bytes instead of frames.
    pub tty: bool,
    /// Chunks ready for the client; an error is the last one.
    pub chunks: mpsc::Receiver<Result<Bytes, Error>>,
    /// Ends the reader's thread with the stream.
    _cancel: CancelOnDrop,
}

#[derive(Debug)]
struct CancelOnDrop(Arc<Ending>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

// === impl Engine ===

impl Engine {
    /// Connects a client to a container, or to its next run when it does not run now.
    ///
    /// # Errors
    /// `Conflict` when the container is frozen or restarting.
    pub async fn attach(self: &Arc<Self>, name: &str, request: AttachRequest) -> Result<AttachStream, Error> {
        let container = self.containers.find(name)?;
        match container.status().state {
            ContainerState::Paused { .. } => return Err(StateConflict::AttachPaused(name.to_owned()).into()),
            ContainerState::Restarting { .. } => {
                return Err(StateConflict::AttachRestarting(name.to_owned()).into());
            }
            _ => {}
        }
        let failed = || Error::file("connect to", container.spec.id.as_str());
        let (ours, theirs) = StdUnixStream::pair().map_err(failed())?;
        let past = request.logs.then(|| theirs.try_clone()).transpose().map_err(failed())?;
        if let Some(mut to) = past {
            // Before the attachment, so that the past comes first. What is written in between is seen twice at worst.
            let reader = self.open_log(&container, past_query(&container, request), None)?;
            let Some(mut reader) = reader else {
                return Err(Error::Unreadable);
            };
            tokio::task::spawn_blocking(move || {
                let mut chunk = Vec::new();
                while let Ok(ChunkState::Data) = reader.next_chunk(&mut chunk) {
                    if to.write_all(&chunk).is_err() {
                        return;
                    }
                    chunk.clear();
                }
            });
        }
        if request.stream {
            let config = &container.spec.config;
            let options = AttachOptions {
                stdin: request.stdin && config.open_stdin,
                stdout: request.stdout,
                stderr: request.stderr && !config.tty,
            };
            let fd = OwnedFd::from(theirs);
            container.ask(|reply| Command::Attach(options, fd, reply)).await?;
            self.container_event(&container, "attach", &[]);
        }
        ours.set_nonblocking(true).map_err(failed())?;
        let io = UnixStream::from_std(ours).map_err(failed())?;
        let relay = request.stream.then(|| container.relays.join());
        Ok(AttachStream { tty: container.spec.config.tty, io, relay })
    }

    /// Reads a container's log, dead or alive.
    ///
    /// # Errors
    /// `InvalidParameter` when no stream is asked for, `NotImplemented` for a log driver that cannot be read.
    pub async fn logs(self: &Arc<Self>, name: &str, query: LogQuery) -> Result<LogStream, Error> {
        let container = self.containers.find(name)?;
        if !query.stdout && !query.stderr {
            return Err(Invalid::NoStream.into());
        }
        if !query.follow {
            first_words(&container).await;
        }
        let ending = Arc::new(Ending::new().map_err(Error::file("follow the log of", name))?);
        let reader = self.open_log(&container, log_query(&container, query), Some(Arc::clone(&ending)))?;
        let Some(reader) = reader else {
            return Err(Error::Unreadable);
        };
        if query.follow {
            finish_with(&container, Arc::clone(&ending));
        }
        let (sender, chunks) = mpsc::channel(IN_FLIGHT);
        tokio::task::spawn_blocking(move || pump(reader, &sender));
        Ok(LogStream { tty: container.spec.config.tty, chunks, _cancel: CancelOnDrop(ending) })
    }

    /// `None`: this log driver keeps nothing that could be read.
    fn open_log(
        &self,
        container: &Container,
        query: Query,
        ending: Option<Arc<Ending>>,
    ) -> Result<Option<Reader>, Error> {
        let Some((path, format)) = crate::log::readable(&self.paths, &container.spec) else { return Ok(None) };
        Ok(Some(Reader::open(&path, format, query, ending)?))
    }
}

/// Waits a moment for a command that has hardly begun: who starts a container and then reads its log expects what it
/// says first, and with engines whose start takes a third of a second it is always there.
async fn first_words(container: &Arc<Container>) {
    let mut watch = container.watch();
    let ContainerState::Running { since, .. } = watch.borrow().state else { return };
    let age = Duration::try_from(Timestamp::now().duration_since(since)).unwrap_or_default();
    let ended = watch.wait_for(|status| status.removed || !status.state.is_running());
    // Whichever comes first; neither is an error.
    let _ = tokio::time::timeout(FIRST_WORDS.saturating_sub(age), ended).await;
}

/// Tells followers when the container has ended; one that does not run has ended already.
fn finish_with(container: &Arc<Container>, ending: Arc<Ending>) {
    let mut watch = container.watch();
    let runs = watch.borrow().runs_ended;
    tokio::spawn(async move {
        // A restart ends the stream too, as in Docker; it may be over before we see it.
        let over = watch.wait_for(|status| status.removed || status.runs_ended != runs || !status.state.is_running());
        // An error means that the container's actor is gone, and the container with it.
        let _ = over.await;
        ending.finish();
    });
}

fn pump(mut reader: Reader, sender: &mpsc::Sender<Result<Bytes, Error>>) {
    loop {
        let mut chunk = Vec::new();
        match reader.next_chunk(&mut chunk) {
            Ok(ChunkState::Data) => {
                if sender.blocking_send(Ok(Bytes::from(chunk))).is_err() {
                    return;
                }
            }
            Ok(ChunkState::End) => return,
            Err(error) => {
                let _ = sender.blocking_send(Err(error.into()));
                return;
            }
        }
    }
}

fn past_query(container: &Container, request: AttachRequest) -> Query {
    let tty = container.spec.config.tty;
    Query { stdout: request.stdout, stderr: request.stderr, framed: !tty, ..Query::default() }
}

fn log_query(container: &Container, query: LogQuery) -> Query {
    // Clamped to the years that logs can carry, 1678 to 2262.
    let time = |at: Timestamp| logs::Timestamp(i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX));
    Query {
        stdout: query.stdout,
        stderr: query.stderr,
        since: query.since.map(time),
        until: query.until.map(time),
        tail: query.tail,
        timestamps: query.timestamps,
        details: query.details,
        follow: query.follow,
        framed: !container.spec.config.tty,
    }
}
