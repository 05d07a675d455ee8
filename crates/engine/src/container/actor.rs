//! The actor: the only writer of a container's status. Commands and the monitor's messages come one at a time.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use monitor::protocol::{AttachOptions, Reply as Message, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use types::Signal;

use super::Container;
use super::command::{Command, ExecStarted, Reply};
use super::exit::RunEnd;
use super::health::HealthWatch;
use super::link::{MonitorLink, Said, next_of};
use super::status::Status;
use crate::attachments;
use crate::engine::Engine;
use crate::error::{Error, StateConflict};
use crate::exec::ExecEntry;
use crate::model::ContainerState;
use crate::{records, start};

/// A client that waits for the container to start.
pub(super) type Waiting = (AttachOptions, OwnedFd);

/// State that nobody else sees.
pub(super) struct Actor {
    pub(super) engine: Arc<Engine>,
    pub(super) container: Arc<Container>,
    pub(super) status: watch::Sender<Status>,
    pub(super) link: Option<MonitorLink>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) execs: Vec<Arc<ExecEntry>>,
    /// When the restart policy acts.
    pub(super) restart_at: Option<Instant>,
    /// The delay before the last automatic restart.
    pub(super) last_delay: Duration,
    /// What checks the container, while something does.
    pub(super) health: HealthWatch,
    /// The end of the last run's monitor, which the next start waits for.
    pub(super) reaping: Option<JoinHandle<()>>,
    /// The container is removed: the actor ends.
    pub(super) ended: bool,
}

// === impl Actor ===

impl Actor {
    pub(super) fn new(
        engine: Arc<Engine>,
        container: Arc<Container>,
        status: watch::Sender<Status>,
        link: Option<MonitorLink>,
    ) -> Self {
        Self {
            engine,
            container,
            status,
            link,
            waiting: Vec::new(),
            execs: Vec::new(),
            restart_at: None,
            last_delay: Duration::ZERO,
            health: HealthWatch::default(),
            reaping: None,
            ended: false,
        }
    }

    /// Works until the container is removed.
    pub(super) async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Command>) {
        self.watch_health();
        while !self.ended {
            let restart_at = self.restart_at;
            let restart = async {
                match restart_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                command = queue.recv() => match command {
                    Some(command) => self.handle(command).await,
                    None => break,
                },
                said = next_of(&mut self.link) => self.listen(said).await,
                () = restart => self.restart_by_policy().await,
            }
        }
    }

    pub(super) fn id(&self) -> &str {
        self.container.spec.id.as_str()
    }

    /// Changes the status, publishes it and stores it.
    pub(super) fn update(&self, change: impl FnOnce(&mut Status)) {
        self.update_and_tell(change, || ());
    }

    /// As [`Actor::update`]; what `tell` says is said before those who wait for the change go on.
    pub(super) fn update_and_tell(&self, change: impl FnOnce(&mut Status), tell: impl FnOnce()) {
        self.status.send_if_modified(|status| {
            change(status);
            false
        });
        tell();
        self.status.send_modify(|_| ());
        let stored = records::rewrite(&self.engine.paths.state(&self.container.spec.id), &*self.status.borrow());
        if let Err(error) = stored {
            // The container goes on; after a restart of the daemon the run directory tells its state.
            tracing::error!(container = self.id(), error = &error as &dyn std::error::Error, "state not stored");
        }
    }

    pub(super) fn state(&self) -> ContainerState {
        self.status.borrow().state.clone()
    }

    async fn handle(&mut self, command: Command) {
        match command {
            Command::Start(kind, reply) => {
                let result = self.start(kind).await;
                answer(reply, result);
            }
            Command::Signal(signal, reply) => answer(reply, self.signal(signal)),
            Command::Stopping(reply) => answer(reply, Ok(self.stopping())),
            Command::Pause(reply) => answer(reply, self.pause()),
            Command::Hold(reply) => answer(reply, Ok(self.hold())),
            Command::Unpause(reply) => answer(reply, self.unpause()),
            Command::Rename(name, reply) => answer(reply, Ok(self.rename(name))),
            Command::Checked { watch, result, reply } => {
                let health = self.checked(watch, result);
                answer(reply, health);
            }
            Command::Update(request, reply) => {
                let result = self.update_limits(*request).await;
                answer(reply, result);
            }
            Command::Connect(network, request, reply) => {
                let result = self.connect(&network, *request).await;
                answer(reply, result);
            }
            Command::Disconnect(network, reply) => {
                let result = self.disconnect(&network).await;
                answer(reply, result);
            }
            Command::Resume(reply) => {
                let result = self.resume().await;
                answer(reply, result);
            }
            Command::Unlink(alias, reply) => {
                let result = self.unlink(&alias);
                answer(reply, result);
            }
            Command::Resize(rows, cols, reply) => self.forward(&Request::Resize { rows, cols }, Vec::new(), reply),
            Command::Attach(options, fd, reply) => self.attach(options, fd, reply),
            Command::Exec(entry, plan, fds, reply) => self.exec(entry, plan, fds, reply),
            Command::ResizeExec(exec_id, rows, cols, reply) => {
                self.forward(&Request::ResizeExec { exec_id, rows, cols }, Vec::new(), reply);
            }
            Command::Remove { volumes, reply } => {
                let result = self.remove(volumes).await;
                answer(reply, result);
            }
        }
    }

    async fn listen(&mut self, said: Said) {
        match said {
            Said::ExecExited { exec_id, code } => {
                if let Some(at) = self.execs.iter().position(|entry| entry.id.as_str() == exec_id) {
                    let entry = self.execs.swap_remove(at);
                    entry.exited(code);
                    self.engine.exec_event(&self.container, &entry, "exec_die", Some(code));
                }
            }
            Said::OutOfMemory(times) => {
                // A daemon that comes back is told again what it may know.
                if times > self.status.borrow().out_of_memory {
                    self.update(|status| status.out_of_memory = times);
                    self.engine.container_event(&self.container, "oom", &[]);
                }
            }
            Said::Exited(record) => self.exited(RunEnd::from_record(&record)).await,
            Said::Gone => {
                let run = self.engine.paths.run(&self.container.spec.id);
                let ended =
                    super::link::exit_record(&run).map_or_else(RunEnd::lost, |record| RunEnd::from_record(&record));
                self.exited(ended).await;
            }
        }
    }

    pub(super) fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        let id = self.id().to_owned();
        let Some(link) = &self.link else { return Err(StateConflict::NotRunning(id).into()) };
        let Some(pidfd) = &link.pidfd else { return Err(StateConflict::NotRunning(id).into()) };
        sys::pidfd_signal::send(pidfd.as_fd(), signal.number()).map_err(|error| match error.raw_os_error() {
            Some(code) if code == rustix::io::Errno::SRCH.raw_os_error() => {
                StateConflict::NotRunning(id.clone()).into()
            }
            _ => Error::file("signal the process of", &id)(error),
        })?;
        // A frozen process dies only when it is thawed.
        if signal == Signal::KILL && matches!(self.state(), ContainerState::Paused { .. }) {
            let group = self.engine.cgroup(&self.container.spec)?;
            if let Err(error) = self.unpause() {
                // With version 2 a frozen process dies at once, and its group may be gone by now.
                if group.exists() {
                    return Err(error);
                }
            }
        }
        self.engine.container_event(&self.container, "kill", &[("signal", &signal.number().to_string())]);
        Ok(())
    }

    fn stopping(&mut self) -> bool {
        if let ContainerState::Restarting { last } = self.state() {
            self.restart_at = None;
            self.update(|status| {
                status.state = ContainerState::Exited(last);
                status.stopped_by_user = true;
            });
            return false;
        }
        if self.state().is_running() {
            self.update(|status| status.stopped_by_user = true);
        }
        self.state().is_running()
    }

    fn pause(&mut self) -> Result<(), Error> {
        let ContainerState::Running { pid, start_time, since } = self.state() else {
            return Err(match self.state() {
                ContainerState::Paused { .. } => StateConflict::AlreadyPaused(self.id().to_owned()).into(),
                ContainerState::Restarting { .. } => StateConflict::Restarting(self.id().to_owned()).into(),
                _ => StateConflict::NotRunning(self.id().to_owned()).into(),
            });
        };
        self.engine.cgroup(&self.container.spec)?.freeze().map_err(runtime::Error::Cgroup)?;
        self.unwatch_health();
        self.update(|status| {
            status.state = ContainerState::Paused { pid, start_time, since };
            status.close_health();
        });
        self.engine.container_event(&self.container, "pause", &[]);
        Ok(())
    }

    fn hold(&mut self) -> bool {
        // Before the freeze, so that a daemon that is killed right behind it is not misunderstood.
        if self.link.is_none() || !matches!(self.state(), ContainerState::Running { .. }) {
            return false;
        }
        self.update(|status| status.held = true);
        let held = self.pause();
        if let Err(error) = &held {
            tracing::warn!(container = self.id(), error = error as &dyn std::error::Error, "not frozen");
            self.update(|status| status.held = false);
        }
        held.is_ok()
    }

    fn unpause(&mut self) -> Result<(), Error> {
        let ContainerState::Paused { pid, start_time, since } = self.state() else {
            return Err(StateConflict::NotPaused(self.id().to_owned()).into());
        };
        self.engine.cgroup(&self.container.spec)?.thaw().map_err(runtime::Error::Cgroup)?;
        self.update(|status| {
            status.state = ContainerState::Running { pid, start_time, since };
            status.held = false;
        });
        self.watch_health();
        self.engine.container_event(&self.container, "unpause", &[]);
        Ok(())
    }

    fn rename(&mut self, name: String) -> String {
        let old = self.status.borrow().name.clone();
        let attachments = attachments::of(&self.container.spec, &self.status.borrow());
        self.update(|status| {
            for endpoint in status.endpoints.iter_mut().filter(|endpoint| !endpoint.names.is_empty()) {
                let request = attachments.get(&endpoint.network_name).cloned().unwrap_or_default();
                let names = attachments::names(&self.container.spec, &name, &request);
                self.engine.network.rename(endpoint, names);
            }
            status.name = name;
        });
        self.engine.container_event(&self.container, "rename", &[("oldName", &format!("/{old}"))]);
        old
    }

    fn attach(&mut self, options: AttachOptions, fd: OwnedFd, reply: Reply<()>) {
        if self.link.is_some() {
            self.forward(&Request::Attach(options), vec![fd], reply);
        } else {
            self.waiting.push((options, fd));
            answer(reply, Ok(()));
        }
    }

    /// Sends a request that the monitor answers with `Ok` or `Error`.
    fn forward(&mut self, request: &Request, fds: Vec<OwnedFd>, reply: Reply<()>) {
        let id = self.id().to_owned();
        let Some(link) = &mut self.link else {
            return answer(reply, Err(StateConflict::NotRunning(id).into()));
        };
        match link.request(&id, request, &fds) {
            Err(error) => answer(reply, Err(error)),
            Ok(receiver) => drop(tokio::spawn(async move {
                let result = match receiver.await {
                    Ok((Message::Ok, _)) => Ok(()),
                    Ok((Message::Error { message }, _)) => Err(Error::Monitor(message)),
                    _ => Err(Error::MonitorGone(id)),
                };
                answer(reply, result);
            })),
        }
    }

    fn exec(
        &mut self,
        entry: Arc<ExecEntry>,
        plan: Box<monitor::protocol::ExecPlan>,
        fds: Vec<OwnedFd>,
        reply: Reply<ExecStarted>,
    ) {
        let id = self.id().to_owned();
        let Some(link) = &mut self.link else {
            return answer(reply, Err(StateConflict::NotRunning(id).into()));
        };
        let receiver = match link.request(&id, &Request::Exec(plan), &fds) {
            Ok(receiver) => receiver,
            Err(error) => return answer(reply, Err(error)),
        };
        // Registered before the answer, so that an exit right behind it finds its exec.
        self.execs.push(entry);
        tokio::spawn(async move {
            let result = match receiver.await {
                Ok((Message::ExecStarted { pid, .. }, mut fds)) => Ok(ExecStarted { pid, terminal: fds.pop() }),
                Ok((Message::Failed(failure), _)) => Err(start::exec_failure(failure)),
                Ok((Message::Error { message }, _)) => Err(Error::Monitor(message)),
                _ => Err(Error::MonitorGone(id)),
            };
            answer(reply, result);
        });
    }
}

/// Answers a client, who may have left.
pub(super) fn answer<T>(reply: Reply<T>, result: Result<T, Error>) {
    let _ = reply.send(result);
}

/// Whether the other end of a stream is closed.
pub(super) fn hung_up(fd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::RDHUP)];
    let polled = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    polled.is_ok() && fds[0].revents().intersects(PollFlags::HUP)
}
