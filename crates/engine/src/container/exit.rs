//! The end of a run: record it, take back what belonged to the run, and let the policies act.

use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use monitor::protocol::ExitRecord;
use tokio::time::Instant;

use super::actor::Actor;
use super::command::StartKind;
use super::restart::{self, Ended};
use super::status::{Removing, Status};
use crate::error::{Error, StateConflict};
use crate::model::{ContainerState, ExitInfo, RestartPolicy};
use crate::{records, start};

/// What ended a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunEnd {
    /// Exit code.
    pub code: i32,
    /// When.
    pub at: Timestamp,
    /// The kernel killed it for memory.
    pub oom_killed: bool,
}

impl RunEnd {
    /// From the monitor's record.
    pub(crate) fn from_record(record: &ExitRecord) -> Self {
        let at = record.finished_at.parse().unwrap_or_else(|_| Timestamp::now());
        Self { code: record.code, at, oom_killed: record.oom_killed }
    }

    /// Without a record: the monitor was killed and took its container along, or the machine went down.
    pub(crate) fn lost() -> Self {
        Self { code: 137, at: Timestamp::now(), oom_killed: false }
    }
}

impl Actor {
    /// Handles the end of the present run.
    pub(super) async fn exited(&mut self, end: RunEnd) {
        let child = self.link.take().and_then(|link| link.child);
        for entry in self.execs.drain(..) {
            // The container took its execs along.
            entry.exited(137);
        }
        let before = self.status.borrow().clone();
        let since = match before.state {
            ContainerState::Running { since, .. } | ContainerState::Paused { since, .. } => Some(since),
            _ => None,
        };
        self.unwatch_health();
        let restart_unhealthy = std::mem::take(&mut self.health.restart) && !before.stopped_by_user;
        self.release_run(child).await;
        let info = ExitInfo {
            code: end.code,
            at: end.at,
            started_at: since,
            oom_killed: end.oom_killed,
            error: String::new(),
        };
        let ran_for = since.map_or(Duration::ZERO, |since| end.at.duration_since(since).unsigned_abs());
        // Ended because it was unhealthy: as if its policy were `always`.
        let policy = if restart_unhealthy { RestartPolicy::Always } else { self.container.restart_policy() };
        let next = self.next_start(policy, end.code, ran_for, &before);
        let change = |status: &mut Status| {
            status.endpoints.clear();
            status.runs_ended += 1;
            status.close_health();
            status.finished_at = Some(end.at);
            status.state = match next {
                Some(_) => ContainerState::Restarting { last: info },
                None => ContainerState::Exited(info),
            };
        };
        // `die` comes before the `stop` or `restart` of whoever waits for this end.
        self.update_and_tell(change, || self.tell_end(&before, end, ran_for));
        if let Some(delay) = next {
            self.last_delay = delay;
            self.restart_at = Some(Instant::now() + delay);
        } else if self.container.spec.host.auto_remove
            && let Err(error) = self.remove(true).await
        {
            tracing::error!(container = self.id(), error = &error as &dyn std::error::Error, "not auto-removed");
        }
    }

    /// Tells everybody that a run is over.
    fn tell_end(&self, before: &Status, end: RunEnd, ran_for: Duration) {
        // Where there was no limit to watch, the count at the end is all there is.
        if end.oom_killed && before.out_of_memory == 0 {
            self.engine.container_event(&self.container, "oom", &[]);
        }
        let seconds = ran_for.as_secs().to_string();
        let attributes = [("exitCode", end.code.to_string()), ("execDuration", seconds)];
        let attributes: Vec<(&str, &str)> = attributes.iter().map(|(key, value)| (*key, value.as_str())).collect();
        self.engine.container_event(&self.container, "die", &attributes);
        before.endpoints.iter().for_each(|endpoint| self.engine.endpoint_event(endpoint, "disconnect"));
        self.engine.volumes_in_use(&self.container, false);
    }

    /// Network, cgroup and run directory of a run that is over. Failures are logged: the run is over all the same.
    async fn release_run(&mut self, monitor: Option<Child>) {
        let (engine, container) = (Arc::clone(&self.engine), Arc::clone(&self.container));
        let endpoints = self.status.borrow().endpoints.clone();
        let released = self
            .engine
            .blocking(move || {
                engine.release_run(&container.spec, &endpoints);
                Ok(())
            })
            .await;
        self.reap(monitor);
        if let Err(error) = released {
            tracing::debug!(container = self.id(), error = &error as &dyn std::error::Error, "run not released");
        }
    }

    /// Takes the exit status of a monitor that has said its last word, and what it leaves: mount point and run
    /// directory. It may still be letting go of its mounts (which writes their files to disk), and freeing blocks
    /// can take milliseconds: only the next start waits for that.
    fn reap(&mut self, monitor: Option<Child>) {
        let (store, id) = (self.engine.store.clone(), self.container.spec.id.clone());
        let run = self.engine.paths.run(&id);
        self.reaping = Some(tokio::task::spawn_blocking(move || {
            if let Some(Err(error)) = monitor.map(|mut monitor| monitor.wait()) {
                tracing::warn!(container = id.as_str(), %error, "monitor not reaped");
            }
            store.leave_rootfs(&id);
            if let Err(error) = start::remove_run(&run) {
                tracing::warn!(container = id.as_str(), error = &error as &dyn std::error::Error, "run not removed");
            }
        }));
    }

    pub(super) async fn restart_by_policy(&mut self) {
        self.restart_at = None;
        if self.engine.is_ending() {
            return;
        }
        let Err(error) = self.start(StartKind::Policy).await else { return };
        tracing::warn!(container = self.id(), error = &error as &dyn std::error::Error, "restart failed");
        let before = self.status.borrow().clone();
        let Some(last) = before.state.exit().cloned() else { return };
        let policy = self.container.restart_policy();
        if let Some(delay) = self.next_start(policy, last.code, Duration::ZERO, &before) {
            self.last_delay = delay;
            self.restart_at = Some(Instant::now() + delay);
            self.update(|status| {
                status.restart_count += 1;
                status.state = ContainerState::Restarting { last };
            });
        }
    }

    /// How long until the policy starts the container again; `None` when it does not.
    fn next_start(&self, policy: RestartPolicy, code: i32, ran_for: Duration, before: &Status) -> Option<Duration> {
        if self.engine.is_ending() {
            // The next daemon brings it back.
            return None;
        }
        let ended = Ended {
            code,
            ran_for,
            stopped_by_user: before.stopped_by_user,
            restarts: before.restart_count,
            last_delay: self.last_delay,
        };
        restart::decide(policy, ended)
    }

    /// Removes the container with everything that is its own.
    pub(super) async fn remove(&mut self, volumes: bool) -> Result<(), Error> {
        if self.state().is_running() {
            let name = format!("/{}", self.status.borrow().name);
            return Err(StateConflict::RemoveRunning { name, state: self.state().word() }.into());
        }
        self.restart_at = None;
        self.status.send_modify(|status| status.leaving = true);
        let removing = Some(Removing { volumes });
        let begun = Status { removing, ..self.status.borrow().clone() };
        let record = self.engine.paths.state(&self.container.spec.id);
        match records::rewrite(&record, &begun) {
            // Somebody took the records away; the rest can go all the same.
            Err(_) if !record.exists() => {}
            written => written?,
        }
        let (engine, container) = (Arc::clone(&self.engine), Arc::clone(&self.container));
        let removed = self.engine.blocking(move || engine.remove_files(&container.spec, volumes)).await;
        if let Err(error) = removed {
            // Without its layer it can only go; the next removal, or the next daemon, goes on.
            let whole = self.engine.store.container_layers().contains(&self.container.spec.id);
            self.update(|status| status.removing = removing.filter(|_| !whole));
            return Err(error);
        }
        self.engine.containers.remove(&self.container);
        self.engine.execs.forget(&self.container.spec.id);
        self.engine.links.forget(&self.container.spec.id);
        self.status.send_modify(|status| status.removed = true);
        self.engine.container_event(&self.container, "destroy", &[]);
        self.ended = true;
        Ok(())
    }
}
