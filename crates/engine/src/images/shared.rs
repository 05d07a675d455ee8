//! Pulls that several clients wait for: the work is done once, and everybody is told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use transfer::{Credentials, Progress};
use types::{Platform, Reference};

use super::ImageProgress;
use super::transport::Steps;
use crate::error::Error;

/// Steps in flight: a client that reads slowly loses steps for display only when it is this far behind.
const IN_FLIGHT: usize = 1024;

type Sender = mpsc::Sender<Result<ImageProgress, Error>>;

/// What makes two pulls the same. Credentials belong to it: nobody sees what others were allowed to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PullKey {
    pub(crate) reference: Reference,
    pub(crate) platform: Option<Platform>,
    pub(crate) credentials: Option<Credentials>,
}

/// The pulls under way.
#[derive(Default)]
pub(crate) struct Pulls(Mutex<Vec<(PullKey, Arc<SharedPull>)>>);

/// One pull and who waits for it.
#[derive(Default)]
pub(crate) struct SharedPull(Mutex<Listeners>);

#[derive(Default)]
struct Listeners {
    /// What a client that comes later has to be told first.
    told: Vec<Progress>,
    senders: Vec<Sender>,
}

// === impl Pulls ===

impl Pulls {
    /// Waits with the others for a pull; the second part is a pull that the caller has to do.
    pub(crate) fn join(&self, key: &PullKey) -> (Steps, Option<Arc<SharedPull>>) {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        let mut table = self.lock();
        if let Some((_, pull)) = table.iter().find(|(other, _)| other == key) {
            pull.add(sender);
            return (receiver, None);
        }
        let pull = Arc::new(SharedPull::default());
        pull.add(sender);
        table.push((key.clone(), Arc::clone(&pull)));
        (receiver, Some(pull))
    }

    /// Takes a pull that is over out of the table; its listeners.
    pub(crate) fn finish(&self, pull: &Arc<SharedPull>) -> Vec<Sender> {
        let mut table = self.lock();
        table.retain(|(_, other)| !Arc::ptr_eq(other, pull));
        std::mem::take(&mut pull.lock().senders)
    }

    /// Resolves when nobody waits for the pull any more; it is out of the table then.
    pub(crate) async fn abandoned(&self, pull: &Arc<SharedPull>) {
        loop {
            let open = {
                // Both locks, as in `join`: nobody comes in between the look and the removal.
                let mut table = self.lock();
                let open = pull.lock().senders.iter().find(|sender| !sender.is_closed()).cloned();
                if open.is_none() {
                    table.retain(|(_, other)| !Arc::ptr_eq(other, pull));
                }
                open
            };
            match open {
                Some(sender) => sender.closed().await,
                None => return,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(PullKey, Arc<SharedPull>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl SharedPull ===

impl SharedPull {
    /// Tells everybody. Steps are for display: one that finds no room is left out, and later ones tell more.
    pub(crate) fn tell(&self, step: Progress) {
        let mut listeners = self.lock();
        if too_early(&listeners.told, &step) {
            return;
        }
        listeners.senders.retain(|sender| {
            let sent = sender.try_send(Ok(ImageProgress::Pull(step.clone())));
            !matches!(sent, Err(mpsc::error::TrySendError::Closed(_)))
        });
        note(&mut listeners.told, step);
    }

    fn add(&self, sender: Sender) {
        let mut listeners = self.lock();
        for step in &listeners.told {
            let _ = sender.try_send(Ok(ImageProgress::Pull(step.clone())));
        }
        listeners.senders.push(sender);
    }

    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A layer is unpacked while it arrives, but its one bar cannot show both: until it is there, it shows the download.
fn too_early(told: &[Progress], step: &Progress) -> bool {
    let Progress::Extracting { layer, .. } = step else { return false };
    told.iter().any(|last| match last {
        Progress::PullingFsLayer { layer: other }
        | Progress::Waiting { layer: other }
        | Progress::Downloading { layer: other, .. }
        | Progress::VerifyingChecksum { layer: other } => other == layer,
        _ => false,
    })
}

/// Of a layer's steps only the last one counts, in the place of the first.
fn note(told: &mut Vec<Progress>, step: Progress) {
    match step.layer().and_then(|layer| told.iter().position(|other| other.layer() == Some(layer))) {
        Some(at) => told[at] = step,
        None => told.push(step),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> PullKey {
        PullKey { reference: name.parse().expect("valid"), platform: None, credentials: None }
    }

    fn layer(text: &str) -> Progress {
        Progress::PullingFsLayer { layer: text.to_owned() }
    }

    #[tokio::test]
    async fn the_second_client_joins_and_hears_what_was_told() {
        let pulls = Pulls::default();
        let (mut first, own) = pulls.join(&key("a"));
        let pull = own.expect("the first one works");
        pull.tell(layer("1"));
        pull.tell(layer("2"));
        pull.tell(Progress::Waiting { layer: "1".to_owned() });
        let (mut second, none) = pulls.join(&key("a"));
        assert!(none.is_none() && pulls.join(&key("b")).1.is_some());
        pull.tell(Progress::PullComplete { layer: "2".to_owned() });
        assert_eq!(pulls.finish(&pull).len(), 2);
        assert!(pulls.join(&key("a")).1.is_some());
        let heard = async |steps: &mut Steps| {
            let mut all = Vec::new();
            while let Some(Ok(ImageProgress::Pull(step))) = steps.recv().await {
                all.push(step);
            }
            all
        };
        assert_eq!(heard(&mut first).await.len(), 4);
        let waiting = Progress::Waiting { layer: "1".to_owned() };
        let complete = Progress::PullComplete { layer: "2".to_owned() };
        assert_eq!(heard(&mut second).await, [waiting, layer("2"), complete]);
    }

    #[test]
    fn a_bar_shows_the_download_before_the_unpacking() {
        let layer = || "1".to_owned();
        let extracting = Progress::Extracting { layer: layer(), current: 1, total: 2 };
        let mut told = Vec::new();
        for (step, early) in [
            (Progress::PullingFsLayer { layer: layer() }, true),
            (Progress::Downloading { layer: layer(), current: 1, total: 2 }, true),
            (Progress::VerifyingChecksum { layer: layer() }, true),
            (Progress::DownloadComplete { layer: layer() }, false),
            (extracting.clone(), false),
            (Progress::PullingFsLayer { layer: "2".to_owned() }, false),
        ] {
            note(&mut told, step);
            assert_eq!(too_early(&told, &extracting), early, "{told:?}");
        }
    }

    #[tokio::test]
    async fn a_pull_is_abandoned_when_the_last_client_leaves() {
        let pulls = Pulls::default();
        let (first, own) = pulls.join(&key("a"));
        let pull = own.expect("the first one works");
        let (second, _) = pulls.join(&key("a"));
        drop(first);
        let waiting = pulls.abandoned(&pull);
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), &mut waiting).await.is_err());
        drop(second);
        waiting.await;
        assert!(pulls.join(&key("a")).1.is_some());
    }
}
