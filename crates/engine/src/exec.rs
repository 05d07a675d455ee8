//! Execs: processes started in running containers.

use std::collections::HashMap;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use tokio::net::UnixStream;
use tokio::sync::watch;
use types::{ContainerId, ExecId};

use crate::container::{Command, Container, ExecStdio, Relay, relay_terminal};
use crate::engine::Engine;
use crate::error::{Error, StateConflict};
use crate::model::{ContainerState, ExecConfig, ExecDetails};
use crate::{random, start};

/// How long an ended exec can still be inspected.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// How an exec is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecStart {
    /// Nobody listens.
    pub detach: bool,
    /// The client expects a terminal's bytes; without it they come in frames, whatever the process has.
    pub raw: bool,
    /// Rows and columns of the terminal.
    pub console_size: Option<(u16, u16)>,
}

/// The bytes of an exec or of a container.
#[derive(Debug)]
pub struct AttachStream {
    /// Raw bytes instead of frames.
    pub tty: bool,
    /// What is read comes from the process, already framed; what is written goes to its stdin; its shutdown ends stdin.
    pub io: UnixStream,
    /// To be dropped when all that comes has been passed on.
    pub relay: Option<Relay>,
}

/// One exec.
#[derive(Debug)]
pub(crate) struct ExecEntry {
    pub id: ExecId,
    pub container: ContainerId,
    pub config: ExecConfig,
    progress: watch::Sender<Progress>,
}

/// How far an exec is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Created,
    Starting,
    Running { pid: i32 },
    Ended { pid: i32, code: i32, at: Instant },
}

/// All execs of the engine.
#[derive(Default)]
pub(crate) struct ExecTable {
    entries: Mutex<HashMap<ExecId, Arc<ExecEntry>>>,
}

// === impl ExecEntry ===

impl ExecEntry {
    /// The process has ended.
    pub(crate) fn exited(&self, code: i32) {
        self.progress.send_modify(|progress| {
            let pid = if let Progress::Running { pid } = *progress { pid } else { 0 };
            *progress = Progress::Ended { pid, code, at: Instant::now() };
        });
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) {
        let mut watch = self.progress.subscribe();
        // Fails only without a sender, and `self` is one.
        let _ = watch.wait_for(|progress| matches!(progress, Progress::Ended { .. })).await;
    }

    /// Claims the one start an exec has.
    fn claim(&self) -> Result<(), Error> {
        let mut before = Progress::Starting;
        self.progress.send_modify(|progress| {
            before = *progress;
            if before == Progress::Created {
                *progress = Progress::Starting;
            }
        });
        match before {
            Progress::Created => Ok(()),
            Progress::Ended { .. } => Err(StateConflict::ExecEnded.into()),
            _ => Err(StateConflict::ExecRunning(self.id.to_string()).into()),
        }
    }

    fn started(&self, pid: i32) {
        self.progress.send_modify(|progress| {
            *progress = match *progress {
                // A short process may have ended before its start was answered.
                Progress::Ended { code, at, .. } => Progress::Ended { pid, code, at },
                _ => Progress::Running { pid },
            };
        });
    }
}

// === impl ExecTable ===

impl ExecTable {
    fn insert(&self, entry: Arc<ExecEntry>) {
        let mut entries = self.lock();
        let fresh = |progress: Progress| !matches!(progress, Progress::Ended { at, .. } if at.elapsed() > KEPT_FOR);
        entries.retain(|_, entry| fresh(*entry.progress.borrow()));
        entries.insert(entry.id.clone(), entry);
    }

    fn find(&self, id: &str) -> Result<Arc<ExecEntry>, Error> {
        let missing = || Error::NoSuchExec(id.to_owned());
        let key: ExecId = id.parse().map_err(|_| missing())?;
        self.lock().get(&key).map(Arc::clone).ok_or_else(missing)
    }

    /// Ids of the execs of a container that have not ended.
    pub(crate) fn open_in(&self, container: &ContainerId) -> Vec<ExecId> {
        let open = |entry: &ExecEntry| !matches!(*entry.progress.borrow(), Progress::Ended { .. });
        let entries = self.lock();
        let mine = entries.values().filter(|entry| entry.container == *container && open(entry));
        mine.map(|entry| entry.id.clone()).collect()
    }

    /// Nobody will ask for this one again.
    pub(crate) fn forget_one(&self, id: &ExecId) {
        self.lock().remove(id);
    }

    /// The container is gone, and its execs with it.
    pub(crate) fn forget(&self, container: &ContainerId) {
        self.lock().retain(|_, entry| entry.container != *container);
    }

    // Every operation on the table is one call: a panic elsewhere leaves it whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<ExecId, Arc<ExecEntry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Engine ===

impl Engine {
    /// Prepares a process for a running container.
    ///
    /// # Errors
    /// `Conflict` when the container does not run or is frozen.
    pub fn exec_create(&self, name: &str, config: ExecConfig) -> Result<ExecId, Error> {
        let container = self.containers.find(name)?;
        check_runs(&container)?;
        let id = ExecId::from_bytes(random::bytes());
        let command = told(&config.cmd);
        let entry = Arc::new(ExecEntry {
            id: id.clone(),
            container: container.spec.id.clone(),
            config,
            progress: watch::Sender::new(Progress::Created),
        });
        self.execs.insert(Arc::clone(&entry));
        self.exec_event(&container, &entry, &format!("exec_create: {command}"), None);
        Ok(id)
    }

    /// Starts a prepared process; the stream is absent when nobody listens.
    ///
    /// # Errors
    /// [`Error::NoSuchExec`], `Conflict` when it was started before, [`Error::ExecFailed`].
    pub async fn exec_start(self: &Arc<Self>, id: &str, options: ExecStart) -> Result<Option<AttachStream>, Error> {
        let entry = self.execs.find(id)?;
        let container = self.containers.by_id(&entry.container).ok_or_else(|| Error::NoSuchExec(id.to_owned()))?;
        check_runs(&container)?;
        entry.claim()?;
        let command = told(&entry.config.cmd);
        self.exec_event(&container, &entry, &format!("exec_start: {command}"), None);
        let result = self.run_exec(&container, &entry, options).await;
        if result.is_err() {
            // Docker's code for every exec that cannot be started, also for a command that is not there. (Its newest
            // releases say 127 then; the suites of its SDKs expect 126.)
            entry.exited(126);
        }
        result
    }

    async fn run_exec(
        self: &Arc<Self>,
        container: &Arc<Container>,
        entry: &Arc<ExecEntry>,
        options: ExecStart,
    ) -> Result<Option<AttachStream>, Error> {
        let (engine, target, wanted) = (Arc::clone(self), Arc::clone(container), Arc::clone(entry));
        let plan = self
            .blocking(move || {
                let spec = start::with_links(&engine, Arc::clone(&target.spec), &target.status());
                start::plan_exec(&engine, &spec, &wanted, options.console_size)
            })
            .await?;
        let tty = entry.config.tty;
        let (relay, fds) = if tty {
            (None, Vec::new())
        } else {
            let (relay, fds) = ExecStdio::open(&entry.config, options.detach)
                .map_err(Error::file("make the streams of exec", entry.id.as_str()))?;
            (Some(relay), fds)
        };
        let exec = |reply| Command::Exec(Arc::clone(entry), Box::new(plan), fds, reply);
        let started = container.ask(exec).await?;
        entry.started(started.pid);
        let (ours, theirs) = StdUnixStream::pair().map_err(Error::file("connect to exec", entry.id.as_str()))?;
        let stream = |socket| async_stream(socket).map_err(Error::file("connect to exec", entry.id.as_str()));
        let client = if options.detach { None } else { Some(stream(ours)?) };
        match (started.terminal, relay, client) {
            // A terminal must be read even if nobody listens: a full one would stop the process.
            (Some(master), _, client) => relay_terminal(master, client, options.raw, Arc::clone(entry))
                .map_err(Error::file("relay the terminal of exec", entry.id.as_str()))?,
            (None, Some(relay), Some(client)) => relay.run(client, options.raw, Arc::clone(entry)),
            _ => {}
        }
        if options.detach {
            Ok(None)
        } else {
            Ok(Some(AttachStream { tty: options.raw, io: stream(theirs)?, relay: None }))
        }
    }
}

/// A command as events tell it: the program, a blank, its arguments.
fn told(command: &[String]) -> String {
    let (program, arguments) = command.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    format!("{program} {}", arguments.join(" "))
}

fn check_runs(container: &Container) -> Result<(), Error> {
    let id = container.spec.id.to_string();
    match container.status().state {
        ContainerState::Running { .. } => Ok(()),
        ContainerState::Paused { .. } => Err(StateConflict::Paused(id).into()),
        ContainerState::Restarting { .. } => Err(StateConflict::Restarting(id).into()),
        _ => Err(StateConflict::NotRunning(id).into()),
    }
}

fn async_stream(socket: StdUnixStream) -> std::io::Result<UnixStream> {
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

// === inspection ===

impl Engine {
    /// Tells everything about an exec.
    ///
    /// # Errors
    /// [`Error::NoSuchExec`].
    pub fn exec_inspect(&self, id: &str) -> Result<ExecDetails, Error> {
        let entry = self.execs.find(id)?;
        let (pid, running, exit_code) = match *entry.progress.borrow() {
            Progress::Created | Progress::Starting => (0, false, None),
            Progress::Running { pid } => (pid, true, None),
            Progress::Ended { pid, code, .. } => (pid, false, Some(code)),
        };
        Ok(ExecDetails {
            id: entry.id.clone(),
            container: entry.container.clone(),
            config: entry.config.clone(),
            pid,
            running,
            exit_code,
            can_remove: false,
        })
    }

    /// Waits until an exec has ended; one that is not known has.
    pub(crate) async fn exec_ended(&self, id: &ExecId) {
        if let Ok(entry) = self.execs.find(id.as_str()) {
            entry.ended().await;
        }
    }

    /// Kills an exec's process. One that has ended is left alone.
    pub(crate) fn kill_exec(&self, id: &ExecId) {
        let Ok(entry) = self.execs.find(id.as_str()) else { return };
        let running = || match *entry.progress.borrow() {
            Progress::Running { pid } => Pid::from_raw(pid),
            _ => None,
        };
        let Some(pid) = running() else { return };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        // Its number may be somebody else's by now, if it ended in this moment: its group tells.
        let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero())).unwrap_or_default();
        if groups.contains(entry.container.as_str()) && running().is_some() {
            // It may end by itself before the signal reaches it.
            let _ = pidfd_send_signal(&process, rustix::process::Signal::KILL);
        }
    }

    /// Changes the size of an exec's terminal.
    ///
    /// # Errors
    /// [`Error::NoSuchExec`], `Conflict` when its container does not run.
    pub async fn exec_resize(&self, id: &str, rows: u16, cols: u16) -> Result<(), Error> {
        let entry = self.execs.find(id)?;
        let container = self.containers.by_id(&entry.container).ok_or_else(|| Error::NoSuchExec(id.to_owned()))?;
        // As in Docker, what has no terminal takes any size.
        if !entry.config.tty && matches!(*entry.progress.borrow(), Progress::Running { .. }) {
            return Ok(());
        }
        container.ask(|reply| Command::ResizeExec(entry.id.to_string(), rows, cols, reply)).await
    }
}
