//! Health as the actor keeps it: what a check's result means, and what follows.

use std::sync::Arc;

use super::actor::Actor;
use super::status::Status;
use crate::error::Error;
use crate::health::{self, Check, Watching};
use crate::model::{CheckResult, ContainerState, Health, HealthStatus, OnUnhealthy};

/// What the actor remembers about checking.
#[derive(Default)]
pub(super) struct HealthWatch {
    watching: Option<Watching>,
    /// Counts watches, so that a late result of an earlier one is known.
    number: u64,
    /// The run is being ended to be started again.
    pub restart: bool,
}

// === impl Status ===

impl Status {
    /// Nothing is checked any more; as Docker, that counts as unhealthy.
    pub(super) fn close_health(&mut self) {
        if let Some(health) = &mut self.health {
            Arc::make_mut(health).status = HealthStatus::Unhealthy;
        }
    }

    /// A run begins: what is known of earlier ones stays in the log.
    pub(super) fn open_health(&mut self) {
        let health = Arc::make_mut(self.health.get_or_insert_default());
        health.status = HealthStatus::Starting;
        health.failing_streak = 0;
    }
}

// === impl Actor ===

impl Actor {
    /// Begins to check a container that runs; nothing for one without a check.
    pub(super) fn watch_health(&mut self) {
        self.health.watching = None;
        let ContainerState::Running { since, .. } = self.state() else { return };
        let Some(check) = Check::of(&self.container) else { return };
        self.health.number += 1;
        let (engine, container) = (Arc::clone(&self.engine), Arc::clone(&self.container));
        self.health.watching = Some(health::watch(engine, container, check, since, self.health.number));
    }

    /// Stops checking: the run ends, or is frozen.
    pub(super) fn unwatch_health(&mut self) {
        self.health.watching = None;
    }

    /// Takes a result in. `None` when it comes from an earlier run of the container.
    pub(super) fn checked(&mut self, watch: u64, result: CheckResult) -> Result<Option<Arc<Health>>, Error> {
        let (ContainerState::Running { since, .. }, Some(check)) = (self.state(), Check::of(&self.container)) else {
            return Ok(None);
        };
        if watch != self.health.number || self.health.watching.is_none() {
            return Ok(None);
        }
        let mut health = Health::clone(self.status.borrow().health.as_deref().unwrap_or(&Health::default()));
        let changed = health.record(&check.settings, since, result);
        let health = Arc::new(health);
        self.status.send_modify(|status| status.health = Some(Arc::clone(&health)));
        if changed {
            let action = format!("health_status: {}", health.status.word());
            self.engine.container_event(&self.container, &action, &[]);
            if health.status == HealthStatus::Unhealthy {
                self.act_on_unhealthy();
            }
        }
        Ok(Some(health))
    }

    /// `--health-on-failure`. Ends the run by itself or through a task: the actor must go on hearing.
    fn act_on_unhealthy(&mut self) {
        let action = self.container.spec.on_unhealthy();
        if action == OnUnhealthy::Nothing {
            return;
        }
        tracing::info!(container = self.id(), ?action, "unhealthy");
        self.health.restart = action == OnUnhealthy::Restart;
        let (engine, container) = (Arc::clone(&self.engine), Arc::clone(&self.container));
        tokio::spawn(async move {
            let result = match action {
                OnUnhealthy::Nothing => Ok(()),
                OnUnhealthy::Kill => engine.end_run(&container, true).await,
                OnUnhealthy::Restart => engine.end_run(&container, false).await,
                OnUnhealthy::Stop => engine.stop(container.spec.id.as_str(), crate::StopOptions::default()).await,
            };
            if let Err(error) = result {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(container = container.spec.id.as_str(), error, "unhealthy, and not ended");
            }
        });
    }
}
