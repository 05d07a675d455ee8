//! What signals ask for: the end, new settings, a look inside.

use anyhow::Context as _;
use engine::Engine;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::logging::LogLevel;
use super::notify::Manager;
use super::options::Options;

/// This many requests to end, and the daemon ends at once.
const IMPATIENT: u32 = 3;

/// The signals a daemon obeys. `SIGPIPE` is ignored by the language's start-up code.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
    look: Signal,
}

// === impl Signals ===

impl Signals {
    /// From now on the signals come here.
    ///
    /// # Errors
    /// sigaction(2).
    pub(super) fn watch() -> anyhow::Result<Self> {
        let watch = |kind, name: &str| signal(kind).with_context(|| format!("watch {name}"));
        Ok(Self {
            terminate: watch(SignalKind::terminate(), "SIGTERM")?,
            interrupt: watch(SignalKind::interrupt(), "SIGINT")?,
            reload: watch(SignalKind::hangup(), "SIGHUP")?,
            look: watch(SignalKind::user_defined1(), "SIGUSR1")?,
        })
    }

    /// Obeys until one asks for the end. Further ones that ask for it are counted behind the answer.
    pub(super) async fn obey(mut self, engine: &Engine, options: &Options, level: &LogLevel, manager: &Manager) {
        let number = loop {
            tokio::select! {
                _ = self.terminate.recv() => break SignalKind::terminate(),
                _ = self.interrupt.recv() => break SignalKind::interrupt(),
                _ = self.reload.recv() => {
                    manager.reloading();
                    if let Err(error) = reload(engine, options, level) {
                        tracing::error!("{error:#}; the settings stay as they were");
                    }
                    manager.ready();
                }
                _ = self.look.recv() => look(engine),
            }
        };
        let stay = if engine.live().live_restore { "run on" } else { "are stopped" };
        tracing::info!(signal = number.as_raw_value(), "the daemon ends; containers {stay}");
        tokio::spawn(self.force(number.as_raw_value()));
    }

    /// Ends the process when the user insists.
    async fn force(mut self, first: i32) {
        for _ in 1..IMPATIENT {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
        }
        tracing::warn!("asked to end {IMPATIENT} times: the daemon ends without cleaning up");
        std::process::exit(128 + first);
    }
}

/// Reads the settings again. A file that does not fit changes nothing.
fn reload(engine: &Engine, options: &Options, level: &LogLevel) -> anyhow::Result<()> {
    let source = &options.source;
    tracing::info!("Got signal to reload configuration, reloading from: {}", source.path.display());
    let new = source.read()?;
    level.change(&new)?;
    engine.reload(new.live)?;
    Ok(())
}

/// What a daemon that seems to hang is doing.
fn look(engine: &Engine) {
    let metrics = tokio::runtime::Handle::current().metrics();
    tracing::info!(
        tasks = metrics.num_alive_tasks(),
        workers = metrics.num_workers(),
        waiting_tasks = metrics.global_queue_depth(),
        event_listeners = engine.events.listeners(),
        "SIGUSR1: the daemon's state"
    );
}
