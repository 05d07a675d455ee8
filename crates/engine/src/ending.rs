//! The end of a daemon that takes its containers along (`live-restore` switched off).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use types::Signal;

use crate::container::{Command, Container};
use crate::engine::Engine;
use crate::error::Error;
use crate::lifecycle::{KILL_TIMEOUT, STOP_TIMEOUT, wait_ended};

/// What the containers' own patience may be exceeded by, as in Docker.
const SPARE: i64 = 5;

impl Engine {
    /// Stops every container: stop signal, patience, SIGKILL. They keep their restart policies: the next daemon brings
    /// back what ran. Returns when all have ended or the daemon's patience is over.
    pub async fn end_containers(self: &Arc<Self>) {
        self.ending.store(true, Ordering::Release);
        let running: Vec<Arc<Container>> =
            self.containers.snapshot().into_iter().filter(|container| container.status().state.is_running()).collect();
        let longest = running.iter().map(|container| patience(container)).max().unwrap_or(0);
        let never = running.iter().any(|container| patience(container) < 0);
        let limit = self.live().shutdown_timeout;
        let seconds = if never || limit < 0 { None } else { u64::try_from(limit.max(longest + SPARE)).ok() };
        let mut ends = JoinSet::new();
        for container in running {
            ends.spawn(async move {
                if let Err(error) = end(&container).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(container = container.spec.id.as_str(), error, "not stopped");
                }
            });
        }
        let all = async { while ends.join_next().await.is_some() {} };
        match seconds {
            None => all.await,
            Some(seconds) => {
                if tokio::time::timeout(Duration::from_secs(seconds), all).await.is_err() {
                    tracing::warn!(seconds, "containers did not stop in time; they run on");
                }
            }
        }
    }

    /// Brings images to the disk that are still on their way there: after a restart of the machine they would be
    /// forgotten.
    pub async fn flush_images(self: &Arc<Self>) {
        let engine = Arc::clone(self);
        if let Err(error) = self.blocking(move || Ok(engine.store.flush()?)).await {
            tracing::error!(error = &error as &dyn std::error::Error, "images may not have reached the disk");
        }
    }

    /// Whether the daemon is taking its containers along: no policy starts one again.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }
}

fn patience(container: &Container) -> i64 {
    container.spec.config.stop_timeout.unwrap_or(STOP_TIMEOUT)
}

async fn end(container: &Container) -> Result<(), Error> {
    let signal = container.spec.config.stop_signal.unwrap_or(Signal::TERM);
    let seconds = u64::try_from(patience(container)).ok().map(Duration::from_secs);
    match container.ask(|reply| Command::Signal(signal, reply)).await {
        Err(Error::State(_)) => return Ok(()),
        result => result?,
    }
    if wait_ended(container, seconds).await {
        return Ok(());
    }
    match container.ask(|reply| Command::Signal(Signal::KILL, reply)).await {
        Err(Error::State(_)) => return Ok(()),
        result => result?,
    }
    wait_ended(container, Some(KILL_TIMEOUT)).await;
    Ok(())
}
