//! Taking a group away.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;

use super::{Cgroup, Error};

/// A process that has just been reaped still counts for a moment: 0.2 ms, doubled each time, 0.8 s in all.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LAST_PAUSE: Duration = Duration::from_millis(800);

// === impl Cgroup ===

impl Cgroup {
    /// Removes the group and those below it, in every hierarchy. A group that is gone is no error; one that still
    /// has processes after 0.8 s is. All hierarchies are tried before the first error is returned.
    pub fn remove(&self) -> Result<(), Error> {
        let mut result = Ok(());
        let mut pause = FIRST_PAUSE;
        for directory in self.directories() {
            let removed = remove_patiently(&directory, &mut pause)
                .map_err(|source| Error::Remove { path: directory.clone(), source: source.into() });
            if result.is_ok() {
                result = removed;
            }
        }
        result
    }
}

/// The pause grows over all hierarchies together: a process that is still there is in every one of them.
fn remove_patiently(directory: &Path, pause: &mut Duration) -> Result<(), Errno> {
    loop {
        match remove_tree(directory) {
            Err(Errno::BUSY) if *pause < LAST_PAUSE => {
                std::thread::sleep(*pause);
                *pause *= 2;
            }
            result => return result,
        }
    }
}

fn remove_tree(directory: &Path) -> Result<(), Errno> {
    match rustix::fs::rmdir(directory) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::BUSY | Errno::NOTEMPTY) => {}
        Err(error) => return Err(error),
    }
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    match rustix::fs::rmdir(directory) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}
