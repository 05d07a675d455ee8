//! A container: one actor that owns its state, and the handle by which everybody else sees and addresses it.

mod actor;
mod begin;
mod command;
mod exec_relay;
mod exit;
mod health;
mod held;
mod link;
mod networks;
mod relays;
mod restart;
mod status;
mod update;

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot, watch};

use crate::engine::Engine;
use crate::error::Error;
use crate::model::{ContainerSpec, Overrides, RestartPolicy};

pub(crate) use command::{Command, StartKind};
pub(crate) use exec_relay::{ExecStdio, relay_terminal};
pub(crate) use exit::RunEnd;
pub(crate) use held::Held;
pub(crate) use link::{MonitorLink, exit_record};
pub use relays::Relay;
use relays::Relays;
pub(crate) use restart::at_daemon_start;
pub use status::Status;

/// A container as the rest of the engine sees it.
pub struct Container {
    /// What it is.
    pub spec: Arc<ContainerSpec>,
    status: watch::Receiver<Status>,
    commands: mpsc::UnboundedSender<Command>,
    /// Held by whoever writes its files from outside while it does not run, and by its start.
    files: Arc<Mutex<()>>,
    /// Clients that are attached.
    pub(crate) relays: Relays,
}

// === impl Container ===

impl Container {
    /// Its present status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// What it is now: the specification, with what `update` has changed since.
    #[must_use]
    pub fn current_spec(&self) -> Arc<ContainerSpec> {
        match &self.status.borrow().overrides {
            Some(overrides) => Arc::new(overridden(&self.spec, overrides)),
            None => Arc::clone(&self.spec),
        }
    }

    /// The restart policy as it is now.
    pub(crate) fn restart_policy(&self) -> RestartPolicy {
        let status = self.status.borrow();
        status.overrides.as_ref().map_or(self.spec.host.restart_policy, |overrides| overrides.restart_policy)
    }

    /// Sees every change of its status.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Its present name, without the slash.
    #[must_use]
    pub fn name(&self) -> String {
        self.status.borrow().name.clone()
    }

    /// Keeps the container from starting as long as the guard lives; a start keeps others from getting it.
    pub(crate) async fn hold_files(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.files).lock_owned().await
    }

    /// The same, for threads that may wait.
    pub(crate) fn hold_files_blocking(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.files).blocking_lock_owned()
    }

    /// Puts a command into the actor's queue and waits for the answer.
    ///
    /// # Errors
    /// Whatever the command answers; [`Error::NoSuchContainer`] when the container has been removed.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::NoSuchContainer(self.spec.id.to_string());
        self.commands.send(command(reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// A copy of the specification with the limits and the policy of `overrides`.
pub(crate) fn overridden(spec: &ContainerSpec, overrides: &Overrides) -> ContainerSpec {
    let mut spec = spec.clone();
    spec.host.resources.clone_from(&overrides.resources);
    spec.host.restart_policy = overrides.restart_policy;
    spec
}

impl Engine {
    /// Starts the actor of a container and makes the container findable; its name must be reserved.
    pub(crate) fn adopt(
        self: &Arc<Self>,
        spec: Arc<ContainerSpec>,
        status: Status,
        running: Option<MonitorLink>,
    ) -> Arc<Container> {
        self.links.note(&spec.id, &status.links);
        let (status_sender, status_receiver) = watch::channel(status);
        let (commands, queue) = mpsc::unbounded_channel();
        let (files, relays) = (Arc::default(), Relays::default());
        let container = Arc::new(Container { spec, status: status_receiver, commands, files, relays });
        self.containers.insert(Arc::clone(&container));
        let actor = actor::Actor::new(Arc::clone(self), Arc::clone(&container), status_sender, running);
        tokio::spawn(actor.run(queue));
        container
    }
}
