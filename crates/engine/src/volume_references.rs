//! Which containers refer to which volume: the one place that says whether a volume may go.
//!
//! A container refers to its volumes from before they are made until after it is removed, running or not. Who removes or
//! renames a volume closes it first; whoever wants to refer to it meanwhile waits, and finds what is there then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use types::ContainerId;

use crate::error::Error;

/// The references of a daemon's containers.
#[derive(Debug, Default)]
pub(crate) struct VolumeReferences {
    volumes: Mutex<BTreeMap<String, Volume>>,
    reopened: Condvar,
}

#[derive(Debug, Default)]
struct Volume {
    containers: BTreeSet<ContainerId>,
    closed: bool,
}

/// A volume that nobody can begin to refer to while the value lives.
#[must_use]
#[derive(Debug)]
pub(crate) struct Closed<'a> {
    references: &'a VolumeReferences,
    name: String,
}

// === impl VolumeReferences ===

impl VolumeReferences {
    /// Refers to a volume, which may not be there yet. Waits while it is closed.
    pub(crate) fn hold(&self, name: &str, container: &ContainerId) {
        let mut volumes = self.lock();
        while volumes.get(name).is_some_and(|volume| volume.closed) {
            volumes = self.reopened.wait(volumes).unwrap_or_else(PoisonError::into_inner);
        }
        volumes.entry(name.to_owned()).or_default().containers.insert(container.clone());
    }

    /// Refers no longer; not having done so is fine.
    pub(crate) fn release(&self, name: &str, container: &ContainerId) {
        let mut volumes = self.lock();
        if let Some(volume) = volumes.get_mut(name) {
            volume.containers.remove(container);
            if volume.containers.is_empty() && !volume.closed {
                volumes.remove(name);
            }
        }
    }

    /// Closes a volume that no container refers to. Waits while another one has it closed.
    ///
    /// # Errors
    /// [`store::Error::VolumeInUse`].
    pub(crate) fn close(&self, name: &str) -> Result<Closed<'_>, Error> {
        let mut volumes = self.lock();
        while volumes.get(name).is_some_and(|volume| volume.closed) {
            volumes = self.reopened.wait(volumes).unwrap_or_else(PoisonError::into_inner);
        }
        let volume = volumes.entry(name.to_owned()).or_default();
        if !volume.containers.is_empty() {
            let users = volume.containers.iter().map(ToString::to_string).collect();
            return Err(store::Error::VolumeInUse { name: name.to_owned(), users }.into());
        }
        volume.closed = true;
        Ok(Closed { references: self, name: name.to_owned() })
    }

    /// How many containers refer to each volume that has some.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let volumes = self.lock();
        let used = volumes.iter().filter(|(_, volume)| !volume.containers.is_empty());
        used.map(|(name, volume)| (name.clone(), volume.containers.len())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Volume>> {
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Closed ===

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.references.lock().remove(&self.name);
        self.references.reopened.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn container(digit: char) -> ContainerId {
        digit.to_string().repeat(64).parse().expect("an id")
    }

    #[test]
    fn the_last_one_that_lets_go_may_remove() {
        let references = VolumeReferences::default();
        references.hold("v", &container('a'));
        references.hold("v", &container('b'));
        references.release("v", &container('a'));
        let refused = references.close("v").map(drop).map_err(|error| error.to_string());
        assert_eq!(refused, Err(format!("remove v: volume is in use - [{}]", container('b'))));
        assert_eq!(references.counts(), BTreeMap::from([("v".to_owned(), 1)]));
        references.release("v", &container('b'));
        drop(references.close("v").expect("free"));
        assert!(references.counts().is_empty());
    }

    #[test]
    fn a_closed_volume_is_waited_for() {
        let references = VolumeReferences::default();
        let closed = references.close("v").expect("free");
        std::thread::scope(|scope| {
            let holder = scope.spawn(|| references.hold("v", &container('a')));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!holder.is_finished() && references.counts().is_empty());
            drop(closed);
        });
        assert_eq!(references.counts().get("v"), Some(&1));
    }
}
