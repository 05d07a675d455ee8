//! The daemon itself: build the engine from the options, serve, obey signals.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use anyhow::Context as _;
use cli::Environment;
use engine::{Engine, EngineConfig};
use server::Server;

use super::lock::Held;
use super::logging::{self, LogLevel};
use super::notify::Manager;
use super::options::Options;
use super::signals::Signals;
use super::{build, descriptors, sockets};

/// Two cores serve hundreds of containers; more threads would only cost memory.
const WORKERS: usize = 2;
/// Threads that may wait for the rooms, log followers among them.
const MOST_BLOCKING: usize = 256;

/// What a daemon is started with.
pub(super) struct Start {
    pub options: Options,
    /// Sockets that systemd made.
    pub inherited: Vec<OwnedFd>,
    pub environment: Environment,
    /// Not a session of the terminal it was started from.
    pub detached: bool,
}

/// Runs the daemon until it is told to end.
///
/// # Errors
/// Whatever keeps it from starting.
pub(super) fn run(start: Start) -> anyhow::Result<()> {
    if start.detached {
        // Fails only for a session leader, which is as good.
        let _ = rustix::process::setsid();
    }
    sys::allocator::keep_little(sys::allocator::Keep::Buffers);
    let level = logging::start(&start.options)?;
    announce(&start.options);
    let held = Held::take(&start.options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(MOST_BLOCKING)
        .thread_name("gantryd")
        .enable_all()
        .build()
        .context("start the async runtime")?;
    let result = runtime.block_on(serve(start, level));
    // Log followers wait in threads of their own; they have nothing to finish.
    runtime.shutdown_background();
    drop(held);
    result
}

/// Says what was accepted without effect, and what is dangerous.
fn announce(options: &Options) {
    for (key, reason) in &options.notes {
        tracing::debug!("{key} has no effect: {reason}");
    }
    for warning in sockets::warnings(options) {
        tracing::warn!("{warning}");
    }
    if let Some(score) = options.oom_score_adjust
        && let Err(error) = std::fs::write("/proc/self/oom_score_adj", score.to_string())
    {
        tracing::warn!(%error, score, "the daemon's oom_score_adj was not changed");
    }
}

async fn serve(start: Start, level: LogLevel) -> anyhow::Result<()> {
    let Start { options, inherited, environment, .. } = start;
    // Before anything else: a signal during the start must end the daemon in order too.
    let signals = Signals::watch()?;
    let manager = Manager::new(&environment);
    let descriptors = descriptors::raise();
    let config = EngineConfig { descriptors: descriptors.before, ..build::engine_config(&options)? };
    let access = sockets::access(&options)?;
    let server = Server::bind(sockets::addresses(&options, inherited)?, &access, descriptors.connections);
    let server = server.context("failed to load listeners")?;
    let engine = Engine::open(config).await.context("failed to start daemon")?;
    tracing::info!(data_root = %options.data_root.display(), "daemon has completed initialization");
    let alive = tokio::spawn(manager.clone().stay_alive());
    let ending = {
        let (engine, manager) = (Arc::clone(&engine), manager.clone());
        async move {
            manager.ready();
            signals.obey(&engine, &options, &level, &manager).await;
            manager.stopping();
            if !engine.live().live_restore {
                engine.end_containers().await;
            }
            engine.flush_images().await;
        }
    };
    server.serve(engine, ending).await;
    alive.abort();
    Ok(())
}
