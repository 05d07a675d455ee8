//! Pause and resume.

use std::path::Path;
use std::time::{Duration, Instant};

use super::layout::Controller;
use super::{Cgroup, Error, files};

/// A group freezes as soon as its members leave the kernel; a member in an uninterruptible wait delays it.
const PATIENCE: Duration = Duration::from_secs(10);

// === impl Cgroup ===

impl Cgroup {
    /// Stops every process of the group and waits until they stand still.
    pub fn freeze(&self) -> Result<(), Error> {
        self.set_frozen(true)
    }

    /// Lets them run again.
    pub fn thaw(&self) -> Result<(), Error> {
        self.set_frozen(false)
    }

    /// Whether the group stands still.
    pub fn is_frozen(&self) -> Result<bool, Error> {
        if let Some(directory) = self.unified_directory() {
            return frozen_unified(&directory);
        }
        match self.legacy_directory(Controller::Freezer) {
            Some(directory) => Ok(files::read(&directory.join("freezer.state"))?.trim() == "FROZEN"),
            None => Ok(false),
        }
    }

    fn set_frozen(&self, frozen: bool) -> Result<(), Error> {
        let (directory, file, value) = match (self.unified_directory(), self.legacy_directory(Controller::Freezer)) {
            (Some(directory), _) => (directory, "cgroup.freeze", if frozen { "1" } else { "0" }),
            (None, Some(directory)) => (directory, "freezer.state", if frozen { "FROZEN" } else { "THAWED" }),
            (None, None) => return Err(Error::Unsupported { setting: "pause", reason: "no freezer is mounted" }),
        };
        files::set(&directory, file, value)?;
        let result = self.wait_until(frozen, &directory);
        if frozen && result.is_err() {
            // Half-frozen helps nobody.
            drop(files::set(&directory, file, if file == "cgroup.freeze" { "0" } else { "THAWED" }));
        }
        result
    }

    fn wait_until(&self, frozen: bool, directory: &Path) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(50);
        while self.is_frozen()? != frozen {
            if Instant::now() > deadline {
                return Err(Error::FreezeTimeout(directory.to_owned()));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn frozen_unified(directory: &Path) -> Result<bool, Error> {
    Ok(files::value_of(&files::read(&directory.join("cgroup.events"))?, "frozen") == Some(1))
}
