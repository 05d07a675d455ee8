//! One daemon per root: locks on both roots, and the pid file that `gantry daemon stop` reads.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};

/// Holds the roots for this process. The kernel lets go when the process ends, however it ends.
pub(super) struct Held {
    _locks: [File; 2],
    pidfile: PathBuf,
}

impl Held {
    /// Creates the roots, locks them and writes the pid file.
    pub(super) fn take(data_root: &Path, exec_root: &Path, pidfile: &Path) -> anyhow::Result<Self> {
        let locks = [lock(data_root)?, lock(exec_root)?];
        let mut file = File::create(pidfile).with_context(|| format!("create {}", pidfile.display()))?;
        writeln!(file, "{}", std::process::id()).with_context(|| format!("write {}", pidfile.display()))?;
        Ok(Self { _locks: locks, pidfile: pidfile.to_owned() })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Somebody may have tidied it away.
        let _ = std::fs::remove_file(&self.pidfile);
    }
}

fn lock(root: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(root).with_context(|| format!("create {}", root.display()))?;
    let path = root.join("gantry.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("open {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("{} is in use by another daemon", root.display());
    }
    Ok(file)
}
