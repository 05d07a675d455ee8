//! Clients that are attached to a container. What it wrote has to be on its way to them before anybody is told that it
//! has ended: a client that waits on one connection and reads on another believes the first.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// A client that does not read holds nobody up for longer; Docker's bound is 2 seconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many clients are attached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relays(Arc<watch::Sender<usize>>);

/// An attached client, for as long as its session lasts.
#[derive(Debug)]
pub struct Relay(Relays);

// === impl Relays ===

impl Relays {
    /// One more.
    pub(crate) fn join(&self) -> Relay {
        self.0.send_modify(|count| *count += 1);
        Relay(self.clone())
    }

    /// Whether a client is attached now.
    pub(crate) fn any(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Waits until all sessions have ended, or long enough.
    pub(crate) async fn settled(&self) {
        let mut watch = self.0.subscribe();
        // Fails only without a sender, and `self` is one.
        let _ = tokio::time::timeout(PATIENCE, watch.wait_for(|count| *count == 0)).await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn nobody_waits_longer_than_there_are_clients() {
        let relays = Relays::default();
        relays.settled().await;
        let (one, other) = (relays.join(), relays.join());
        drop(one);
        let waiting = tokio::spawn({
            let relays = relays.clone();
            async move { relays.settled().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(other);
        waiting.await.unwrap();
    }
}
