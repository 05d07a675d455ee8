//! What clients do to containers: start, stop, kill, restart, pause, rename, remove, wait.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use types::Signal;

use crate::container::{Command, Container, StartKind, Status};
use crate::engine::Engine;
use crate::error::{Error, StateConflict};
use crate::model::{ContainerState, ExitInfo};
use crate::names;

/// How long `stop` waits before it kills, unless told otherwise.
pub(crate) const STOP_TIMEOUT: i64 = 10;
/// How long a killed process may take to vanish.
pub(crate) const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the answer of a wait keeps behind the output of those attached. Event loops deliver what comes on two
/// connections at once in any order, and client libraries are used to an engine that takes its time. The commands of
/// the stock client wait for other conditions.
const ATTACHED_GRACE: Duration = Duration::from_millis(10);

/// How to stop.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopOptions {
    /// First signal; `None` takes the container's own.
    pub signal: Option<Signal>,
    /// Seconds until SIGKILL; negative waits for ever; `None` takes the container's own.
    pub timeout: Option<i64>,
}

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveContainer {
    /// Anonymous volumes too.
    pub volumes: bool,
    /// Kill it first when it runs.
    pub force: bool,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// That it does not run; true at once for one that does not.
    #[default]
    NotRunning,
    /// The end of the present or next run.
    NextExit,
    /// That it is gone.
    Removed,
}

// === impl Engine ===

impl Engine {
    /// Starts a container.
    ///
    /// # Errors
    /// `NotModified` when it runs already; whatever kept it from starting.
    pub async fn start(&self, name: &str) -> Result<(), Error> {
        let container = self.containers.find(name)?;
        container.ask(|reply| Command::Start(StartKind::User, reply)).await
    }

    /// Stops a container: its stop signal, then SIGKILL.
    ///
    /// # Errors
    /// `NotModified` when it does not run.
    pub async fn stop(&self, name: &str, options: StopOptions) -> Result<(), Error> {
        let container = self.containers.find(name)?;
        if !self.stop_running(&container, options).await? {
            return Err(StateConflict::Unchanged.into());
        }
        self.container_event(&container, "stop", &[]);
        Ok(())
    }

    /// Stops and starts a container.
    ///
    /// # Errors
    /// As `stop` and `start`, but one that does not run is simply started.
    pub async fn restart(&self, name: &str, options: StopOptions) -> Result<(), Error> {
        let container = self.containers.find(name)?;
        if self.stop_running(&container, options).await? {
            self.container_event(&container, "stop", &[]);
        }
        container.ask(|reply| Command::Start(StartKind::User, reply)).await?;
        self.container_event(&container, "restart", &[]);
        Ok(())
    }

    /// Sends a signal to the container's first process; `None` is SIGKILL and waits for the end.
    ///
    /// # Errors
    /// `Conflict` when it does not run.
    pub async fn kill(&self, name: &str, signal: Option<Signal>) -> Result<(), Error> {
        let container = self.containers.find(name)?;
        let signal = signal.unwrap_or(Signal::KILL);
        let cannot = || StateConflict::CannotKill(name.to_owned(), container.spec.id.to_string());
        let Status { state, .. } = container.status();
        if matches!(state, ContainerState::Restarting { .. }) && signal == Signal::KILL {
            // Between two runs there is no process; calling the next one off is what the user means.
            return container.ask(Command::Stopping).await.map(drop);
        }
        if !state.is_running() {
            return Err(cannot().into());
        }
        if signal == Signal::KILL || container.spec.config.stop_signal == Some(signal) {
            container.ask(Command::Stopping).await?;
        }
        let result = container.ask(|reply| Command::Signal(signal, reply)).await;
        result.map_err(|error| if matches!(error, Error::State(_)) { cannot().into() } else { error })?;
        if signal == Signal::KILL {
            wait_ended(&container, Some(KILL_TIMEOUT)).await;
        }
        Ok(())
    }

    /// Freezes a container.
    ///
    /// # Errors
    /// `Conflict` when it does not run or is frozen.
    pub async fn pause(&self, name: &str) -> Result<(), Error> {
        self.containers.find(name)?.ask(Command::Pause).await
    }

    /// Thaws a container.
    ///
    /// # Errors
    /// `Conflict` when it is not frozen.
    pub async fn unpause(&self, name: &str) -> Result<(), Error> {
        self.containers.find(name)?.ask(Command::Unpause).await
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// `InvalidParameter`, `Conflict`.
    pub async fn rename(&self, name: &str, new_name: &str) -> Result<(), Error> {
        let container = self.containers.find(name)?;
        let new_name = names::validate(new_name)?;
        if container.name() == new_name {
            return Err(Error::SameName);
        }
        let id = &container.spec.id;
        self.containers.reserve(&new_name, id)?;
        match container.ask(|reply| Command::Rename(new_name.clone(), reply)).await {
            Ok(old) => {
                self.containers.release(&old, id);
                Ok(())
            }
            Err(error) => {
                self.containers.release(&new_name, id);
                Err(error)
            }
        }
    }

    /// Changes the size of the container's terminal.
    ///
    /// # Errors
    /// `Conflict` when it does not run.
    pub async fn resize(&self, name: &str, rows: u16, cols: u16) -> Result<(), Error> {
        self.containers.find(name)?.ask(|reply| Command::Resize(rows, cols, reply)).await
    }

    /// Removes a container.
    ///
    /// # Errors
    /// `Conflict` when it runs and `force` is not set.
    pub async fn remove(&self, name: &str, options: RemoveContainer) -> Result<(), Error> {
        let container = self.containers.find(name)?;
        if options.force {
            let running = container.ask(Command::Stopping).await?;
            if running {
                match container.ask(|reply| Command::Signal(Signal::KILL, reply)).await {
                    // It ended by itself in between.
                    Ok(()) | Err(Error::State(_)) => {}
                    Err(error) => return Err(error),
                }
                wait_ended(&container, Some(KILL_TIMEOUT)).await;
            }
        } else {
            container.status().check_removable()?;
        }
        match container.ask(|reply| Command::Remove { volumes: options.volumes, reply }).await {
            // `--rm` was faster.
            Err(Error::NoSuchContainer(_)) if options.force => Ok(()),
            result => result,
        }
    }

    /// Finds the container now and returns a future of its end.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`], [`Error::AmbiguousPrefix`].
    pub fn wait(
        &self,
        name: &str,
        condition: WaitCondition,
    ) -> Result<impl Future<Output = ExitInfo> + Send + use<>, Error> {
        let container = self.containers.find(name)?;
        let mut watch = container.watch();
        let before = watch.borrow().runs_ended;
        let attached = container.relays.any();
        Ok(async move {
            let over = |status: &Status| match condition {
                WaitCondition::NotRunning => {
                    // One that is about to be started again has ended, as in Docker.
                    status.removed
                        || status.runs_ended > before
                        || matches!(
                            status.state,
                            ContainerState::Created | ContainerState::Exited(_) | ContainerState::Dead(_)
                        )
                }
                WaitCondition::NextExit => status.removed || status.runs_ended > before,
                WaitCondition::Removed => status.removed,
            };
            // The sender lives in the actor, which ends only after the removal was published.
            let status = match watch.wait_for(over).await {
                Ok(status) => status.clone(),
                Err(_) => container.status(),
            };
            container.relays.settled().await;
            if attached && condition == WaitCondition::NotRunning {
                tokio::time::sleep(ATTACHED_GRACE).await;
            }
            exit_of(&status)
        })
    }

    /// Stops it if it runs; tells whether it did.
    async fn stop_running(&self, container: &Arc<Container>, options: StopOptions) -> Result<bool, Error> {
        let restarting = matches!(container.status().state, ContainerState::Restarting { .. });
        if !container.ask(Command::Stopping).await? {
            return Ok(restarting);
        }
        let config = &container.spec.config;
        let signal = options.signal.or(config.stop_signal).unwrap_or(Signal::TERM);
        let seconds = options.timeout.or(config.stop_timeout).unwrap_or(STOP_TIMEOUT);
        let patience = u64::try_from(seconds).ok().map(Duration::from_secs);
        self.terminate(container, signal, patience).await?;
        Ok(true)
    }

    /// Ends a run without calling it a user's wish, so that the restart policy acts: at once, or by its stop signal.
    pub(crate) async fn end_run(&self, container: &Arc<Container>, at_once: bool) -> Result<(), Error> {
        let config = &container.spec.config;
        let signal = if at_once { Signal::KILL } else { config.stop_signal.unwrap_or(Signal::TERM) };
        let seconds = config.stop_timeout.unwrap_or(STOP_TIMEOUT);
        self.terminate(container, signal, u64::try_from(seconds).ok().map(Duration::from_secs)).await
    }

    /// A signal, and SIGKILL when it has not helped in time. That it has ended before is fine.
    async fn terminate(
        &self,
        container: &Arc<Container>,
        signal: Signal,
        patience: Option<Duration>,
    ) -> Result<(), Error> {
        match container.ask(|reply| Command::Signal(signal, reply)).await {
            Ok(()) => {}
            Err(Error::State(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
        if wait_ended(container, patience).await {
            return Ok(());
        }
        match container.ask(|reply| Command::Signal(Signal::KILL, reply)).await {
            Ok(()) | Err(Error::State(_)) => {}
            Err(error) => return Err(error),
        }
        wait_ended(container, Some(KILL_TIMEOUT)).await;
        Ok(())
    }
}

/// Waits until the container does not run; false when `patience` ended first.
pub(crate) async fn wait_ended(container: &Container, patience: Option<Duration>) -> bool {
    let mut watch = container.watch();
    let ended = watch.wait_for(|status| status.removed || !status.state.is_running());
    match patience {
        Some(patience) => timeout(patience, ended).await.is_ok(),
        None => ended.await.is_ok(),
    }
}

fn exit_of(status: &Status) -> ExitInfo {
    let never = ExitInfo {
        code: 0,
        at: jiff::Timestamp::UNIX_EPOCH,
        started_at: None,
        oom_killed: false,
        error: String::new(),
    };
    status.state.exit().cloned().unwrap_or(never)
}
