//! Health checks: one task a container that has a check and runs. It executes the check in the container, and hands
//! each result to the actor, which decides what it means.

mod probe;
mod record;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::AbortHandle;

use crate::container::{Command, Container};
use crate::engine::Engine;
use crate::model::{Health, Healthcheck};

pub(crate) use record::read;

/// A task that checks; it ends with this handle.
pub(crate) struct Watching(AbortHandle);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A container's check, ready to be executed.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    /// Command and arguments.
    pub command: Vec<String>,
    /// Times and counts.
    pub settings: Healthcheck,
}

impl Check {
    /// The check of a container; `None` when it has none, or switched its image's off.
    pub(crate) fn of(container: &Container) -> Option<Self> {
        let config = &container.spec.config;
        let settings = config.healthcheck.as_ref()?;
        let command = settings.command(config.shell.as_deref())?;
        Some(Self { command, settings: settings.clone() })
    }
}

/// Checks a container that runs since `started`, until the handle is dropped. `watch` tells this run's results from
/// those of earlier ones.
pub(crate) fn watch(
    engine: Arc<Engine>,
    container: Arc<Container>,
    check: Check,
    started: Timestamp,
    watch: u64,
) -> Watching {
    let task = tokio::spawn(async move {
        loop {
            let status = container.watch().borrow().health.as_ref().map(|health| health.status).unwrap_or_default();
            let age = Timestamp::now().duration_since(started).unsigned_abs();
            tokio::time::sleep(check.settings.pause(age, status)).await;
            let result = probe::run(&engine, &container, &check).await;
            let recorded = container.ask(|reply| Command::Checked { watch, result, reply }).await;
            // The run is over, or the container gone.
            let Ok(Some(health)) = recorded else { return };
            store(&engine, &container, health).await;
        }
    });
    Watching(task.abort_handle())
}

/// Keeps what is known for a daemon that starts later.
async fn store(engine: &Arc<Engine>, container: &Arc<Container>, health: Arc<Health>) {
    let path = engine.paths.health(&container.spec.id);
    if let Err(error) = engine.blocking(move || record::write(&path, &health)).await {
        let error = &error as &dyn std::error::Error;
        // Removed in this moment, usually.
        tracing::debug!(container = container.spec.id.as_str(), error, "health not stored");
    }
}
