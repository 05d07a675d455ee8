//! Which containers refer to which volume: the one place that says whether a volume may go.
//!
//! A container refers to its volumes from before they are made until after it is removed, running or not. Who removes or
//! renames a volume closes it first; whoever wants to refer to it meanwhile waits, and finds what is there then. Who copies
//! a volume refers to it too, and nothing but containers may begin to use it meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

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
    /// How many read it to copy it elsewhere.
    copies: usize,
    closed: bool,
}

/// A reference of somebody who reads a volume to copy it elsewhere.
#[must_use]
#[derive(Debug)]
pub(crate) struct Copying {
    references: Arc<VolumeReferences>,
    name: String,
}

/// A volume that nobody can begin to refer to while the value lives.
#[must_use]
#[derive(Debug)]
pub(crate) struct Closed<'a> {
    references: &'a VolumeReferences,
    name: String,
    /// Who refers to it all the same.
    pub(crate) containers: BTreeSet<ContainerId>,
}

// === impl VolumeReferences ===

impl VolumeReferences {
    /// Refers to a volume, which may not be there yet. Waits while it is closed.
    pub(crate) fn hold(&self, name: &str, container: &ContainerId) {
        let mut volumes = self.open(name);
        volumes.entry(name.to_owned()).or_default().containers.insert(container.clone());
    }

    /// Refers no longer; not having done so is fine.
    pub(crate) fn release(&self, name: &str, container: &ContainerId) {
        let mut volumes = self.lock();
        if let Some(volume) = volumes.get_mut(name) {
            volume.containers.remove(container);
        }
        forget_unused(&mut volumes, name);
    }

    /// Who refers to a volume now.
    pub(crate) fn containers_of(&self, name: &str) -> BTreeSet<ContainerId> {
        self.lock().get(name).map(|volume| volume.containers.clone()).unwrap_or_default()
    }

    /// Refers to a volume while it is copied. Waits while it is closed.
    pub(crate) fn copy(self: &Arc<Self>, name: &str) -> Copying {
        let mut volumes = self.open(name);
        volumes.entry(name.to_owned()).or_default().copies += 1;
        Copying { references: Arc::clone(self), name: name.to_owned() }
    }

    /// Closes a volume that nobody refers to. Waits while another one has it closed.
    ///
    /// # Errors
    /// [`store::Error::VolumeInUse`].
    pub(crate) fn close(&self, name: &str) -> Result<Closed<'_>, Error> {
        let closed = self.close_to_others(name, "remove")?;
        if closed.containers.is_empty() {
            return Ok(closed);
        }
        let users = closed.containers.iter().map(ToString::to_string).collect();
        Err(store::Error::VolumeInUse { name: name.to_owned(), users }.into())
    }

    /// Closes a volume that is not being copied, for all that do not refer to it yet: it is for the caller to see what
    /// those do that refer to it. Waits while another one has it closed. `action` is for the message.
    ///
    /// # Errors
    /// [`store::Error::VolumeBusy`].
    pub(crate) fn close_to_others(&self, name: &str, action: &'static str) -> Result<Closed<'_>, Error> {
        let mut volumes = self.open(name);
        let volume = volumes.entry(name.to_owned()).or_default();
        if volume.copies > 0 {
            let users = vec!["it is being copied".to_owned()];
            return Err(store::Error::VolumeBusy { action, name: name.to_owned(), users }.into());
        }
        volume.closed = true;
        Ok(Closed { references: self, name: name.to_owned(), containers: volume.containers.clone() })
    }

    /// The table, when nobody has the volume closed.
    fn open(&self, name: &str) -> MutexGuard<'_, BTreeMap<String, Volume>> {
        let mut volumes = self.lock();
        while volumes.get(name).is_some_and(|volume| volume.closed) {
            volumes = self.reopened.wait(volumes).unwrap_or_else(PoisonError::into_inner);
        }
        volumes
    }

    /// How many containers refer to each volume that has some.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let volumes = self.lock();
        let used = volumes.iter().filter(|(_, volume)| !volume.containers.is_empty());
        used.map(|(name, volume)| (name.clone(), volume.containers.len())).collect()
    }

    /// Whether [`Self::close`] would succeed now.
    ///
    /// # Errors
    /// [`store::Error::VolumeInUse`].
    pub(crate) fn check_free(&self, name: &str) -> Result<(), Error> {
        self.close(name).map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Volume>> {
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Closed ===

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        let mut volumes = self.references.lock();
        if let Some(volume) = volumes.get_mut(&self.name) {
            volume.closed = false;
        }
        forget_unused(&mut volumes, &self.name);
        self.references.reopened.notify_all();
    }
}

// === impl Copying ===

impl Drop for Copying {
    fn drop(&mut self) {
        let mut volumes = self.references.lock();
        if let Some(volume) = volumes.get_mut(&self.name) {
            volume.copies -= 1;
        }
        forget_unused(&mut volumes, &self.name);
    }
}

fn forget_unused(volumes: &mut BTreeMap<String, Volume>, name: &str) {
    let unused = |volume: &Volume| volume.containers.is_empty() && volume.copies == 0 && !volume.closed;
    if volumes.get(name).is_some_and(unused) {
        volumes.remove(name);
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
    fn what_is_copied_stays_and_what_is_closed_keeps_its_containers() {
        let references = Arc::new(VolumeReferences::default());
        let copying = references.copy("v");
        assert!(references.close("v").is_err() && references.close_to_others("v", "rename").is_err());
        assert!(references.counts().is_empty());
        references.hold("v", &container('a'));
        drop(copying);
        let closed = references.close_to_others("v", "rename").expect("nobody copies it");
        assert_eq!(closed.containers, BTreeSet::from([container('a')]));
        references.release("v", &container('a'));
        references.release("v", &container('b'));
        drop(closed);
        assert!(references.lock().is_empty());
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
