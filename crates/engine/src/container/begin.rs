//! Starting: from a request, or by the restart policy.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::actor::{Actor, hung_up};
use super::command::StartKind;
use super::link::MonitorLink;
use crate::error::{Error, StateConflict};
use crate::health::Check;
use crate::model::{ContainerState, ExitInfo};
use crate::start;

// === impl Actor ===

impl Actor {
    pub(super) async fn start(&mut self, kind: StartKind) -> Result<(), Error> {
        match self.state() {
            ContainerState::Running { .. } => return Err(StateConflict::Unchanged.into()),
            ContainerState::Paused { .. } => return Err(StateConflict::StartPaused.into()),
            _ => {}
        }
        self.restart_at = None;
        if let Some(reaping) = self.reaping.take() {
            // It fails only by a panic, and then there is nothing left to wait for.
            let _ = reaping.await;
        }
        self.waiting.retain(|(_, fd)| !hung_up(fd));
        let (engine, container) = (Arc::clone(&self.engine), Arc::clone(&self.container));
        let waiting = std::mem::take(&mut self.waiting);
        // Somebody may be putting files into it.
        let files = self.container.hold_files().await;
        let started = self.engine.blocking(move || start::start(&engine, &container, waiting)).await;
        drop(files);
        let run = match started {
            Ok(run) => run,
            Err(error) => {
                self.start_failed(&error).await;
                return Err(error);
            }
        };
        let mut link = MonitorLink::new(run.socket, run.pid, run.start_time)
            .map_err(Error::file("connect to the monitor of", self.id()))?;
        link.child = Some(run.child);
        let (pid, start_time) = (link.pid, link.start_time);
        self.link = Some(link);
        let checked = self.container.spec.config.healthcheck.is_some() && Check::of(&self.container).is_some();
        self.update(|status| {
            status.state = ContainerState::Running { pid, start_time, since: run.since };
            if checked {
                status.open_health();
            }
            status.endpoints = run.endpoints;
            status.stopped_by_user = false;
            status.held = false;
            status.out_of_memory = 0;
            if kind == StartKind::User {
                status.restart_count = 0;
            } else {
                status.restart_count += 1;
            }
        });
        if kind == StartKind::User {
            self.last_delay = Duration::ZERO;
        }
        self.health.restart = false;
        self.watch_health();
        for endpoint in &self.status.borrow().endpoints {
            self.engine.endpoint_event(endpoint, "connect");
        }
        self.engine.volumes_in_use(&self.container, true);
        self.engine.container_event(&self.container, "start", &[]);
        self.engine.refresh_links(&self.container);
        let engine = Arc::clone(&self.engine);
        tokio::task::spawn_blocking(move || engine.monitors.refill());
        Ok(())
    }

    async fn start_failed(&mut self, error: &Error) {
        let code = if let Error::StartFailed { code, .. } = error { *code } else { 128 };
        let started_at = self.state().exit().and_then(|exit| exit.started_at);
        let failed = ExitInfo { code, at: Timestamp::now(), started_at, oom_killed: false, error: error.to_string() };
        self.update(|status| {
            status.state = ContainerState::Exited(failed);
            status.runs_ended += 1;
        });
        if self.container.spec.host.auto_remove
            && let Err(error) = self.remove(true).await
        {
            tracing::error!(container = self.id(), error = &error as &dyn std::error::Error, "not auto-removed");
        }
    }
}
