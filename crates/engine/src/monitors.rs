//! Where monitors come from: the program, guarded, and one that waits ready.
//!
//! Making a process and its program's first page faults cost a millisecond or two, which no start needs to wait for: one
//! monitor is made ahead, behind the answer to a start. It has nothing of any container yet, and ends when the daemon does.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use monitor::client::{self, Spawned};
use sys::sealed_exe::SealedDirectory;

/// The monitors of one engine that have no container yet.
#[derive(Debug)]
pub(crate) struct Monitors {
    /// The program that becomes a monitor, as it is executed.
    program: PathBuf,
    /// What that path leads through: a mount by which no container can overwrite the program (CVE-2019-5736).
    _sealed: Option<SealedDirectory>,
    /// Soft limit of descriptors that they start with; `None` is the daemon's.
    descriptors: Option<u64>,
    spare: Mutex<Option<Spawned>>,
}

// === impl Monitors ===

impl Monitors {
    /// Of the program at this path, with that soft limit of descriptors.
    pub fn new(program: &Path, descriptors: Option<u64>) -> Self {
        let (program, sealed) = seal(program);
        Self { program, _sealed: sealed, descriptors, spare: Mutex::new(None) }
    }

    /// A monitor that waits for its container: the one made ahead, or a new one.
    ///
    /// # Errors
    /// [`monitor::Error::Spawn`].
    pub fn take(&self) -> Result<Spawned, monitor::Error> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        match spare {
            Some(spawned) => waits(spawned).map_or_else(|| self.make(), Ok),
            None => self.make(),
        }
    }

    /// Makes one ahead, when none is there. That it cannot be made says the next start.
    pub fn refill(&self) {
        if self.spare.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return;
        }
        let Ok(spawned) = self.make() else { return };
        let before = self.spare.lock().unwrap_or_else(PoisonError::into_inner).replace(spawned);
        if let Some(surplus) = before {
            end(surplus);
        }
    }

    fn make(&self) -> Result<Spawned, monitor::Error> {
        client::spawn(&self.program, self.descriptors)
    }
}

/// The monitor, when nobody has killed it meanwhile.
fn waits(mut spawned: Spawned) -> Option<Spawned> {
    matches!(spawned.child.try_wait(), Ok(None)).then_some(spawned)
}

/// Without a connection it ends by itself.
fn end(spawned: Spawned) {
    let Spawned { socket, mut child } = spawned;
    drop(socket);
    // It fails only for a process that is not ours.
    let _ = child.wait();
}

/// The path to execute the monitor by. Kernels before Linux 5.12 cannot guard it and get the plain one.
fn seal(program: &Path) -> (PathBuf, Option<SealedDirectory>) {
    let sealed = match program.parent().map(SealedDirectory::of) {
        Some(Ok(sealed)) => sealed,
        Some(Err(error)) => {
            tracing::warn!(%error, "the monitor's program is not guarded against being overwritten");
            return (program.to_owned(), None);
        }
        None => return (program.to_owned(), None),
    };
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    (sealed.program(&name), Some(sealed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that waits for its connection to close, whatever its argument, as a monitor does without a container.
    fn monitors() -> Monitors {
        Monitors { program: "/usr/bin/xargs".into(), _sealed: None, descriptors: None, spare: Mutex::new(None) }
    }

    #[test]
    fn takes_the_one_made_ahead_once() {
        let monitors = monitors();
        monitors.refill();
        monitors.refill();
        let ahead = monitors.spare.lock().expect("lock").as_ref().expect("a spare").child.id();
        let first = monitors.take().expect("take");
        assert_eq!(first.child.id(), ahead);
        let second = monitors.take().expect("take");
        assert_ne!(second.child.id(), ahead);
        end(first);
        end(second);
    }

    #[test]
    fn does_not_hand_out_one_that_was_killed() {
        let monitors = monitors();
        monitors.refill();
        let ahead = {
            let mut spare = monitors.spare.lock().expect("lock");
            let child = &mut spare.as_mut().expect("a spare").child;
            child.kill().expect("kill");
            child.wait().expect("wait");
            child.id()
        };
        let taken = monitors.take().expect("take");
        assert_ne!(taken.child.id(), ahead);
        end(taken);
    }
}
