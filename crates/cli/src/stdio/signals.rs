//! Signals that we pass on to the container.

use client::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use types::Signal;

/// What ends or stops a process by default and can be caught; SIGCHLD, SIGPIPE and SIGURG are ours, SIGWINCH is the
/// terminal's.
const FORWARDED: [i32; 17] = [1, 2, 3, 6, 10, 12, 14, 15, 16, 18, 20, 24, 25, 26, 27, 29, 30];

/// Signals caught from now on.
pub struct Caught {
    numbers: mpsc::UnboundedReceiver<i32>,
}

impl Caught {
    /// Starts catching. Must be called inside the runtime.
    #[must_use]
    pub fn start() -> Self {
        let (sender, numbers) = mpsc::unbounded_channel();
        for number in FORWARDED {
            let Ok(mut stream) = signal(SignalKind::from_raw(number)) else { continue };
            let sender = sender.clone();
            tokio::spawn(async move { while stream.recv().await.is_some() && sender.send(number).is_ok() {} });
        }
        Self { numbers }
    }

    /// Sends every caught signal to the container; never returns.
    pub async fn forward(mut self, client: &Client, id: &str) {
        while let Some(number) = self.numbers.recv().await {
            let name = Signal::from_number(number).map(|signal| signal.to_string()).unwrap_or_default();
            let path = format!("/containers/{id}/kill");
            // The container may not run yet or no more; then there is nobody to signal.
            let _ = client.post(&path).query("signal", name.trim_start_matches("SIG")).done().await;
        }
        std::future::pending::<()>().await;
    }
}
