//! One daemon per root: locks on both roots, and the pid file that `gantry daemon stop` reads.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};

use super::options::Options;

/// Marks a root as ours.
const LOCK: &str = "gantry.lock";
/// How long the children of a killed daemon are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Holds the roots for this process. The kernel lets go when the process ends, however it ends.
pub(super) struct Held {
    _locks: [File; 2],
    pidfile: PathBuf,
}

impl Held {
    /// Creates the roots, locks them and writes the pid file.
    ///
    /// # Errors
    /// When another daemon has one of them, or when the data root is Docker's own.
    pub(super) fn take(options: &Options) -> anyhow::Result<Self> {
        let (data_root, exec_root, pidfile) = (&options.data_root, &options.exec_root, &options.pidfile);
        refuse_foreign(data_root)?;
        refuse_running(pidfile)?;
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

/// A data root that Docker made holds records this daemon would misread and break.
fn refuse_foreign(data_root: &Path) -> anyhow::Result<()> {
    let dockers = data_root.join("network/files/local-kv.db").exists() || data_root.join("buildkit/cache.db").exists();
    if dockers && !data_root.join(LOCK).exists() {
        bail!("{} belongs to Docker's own daemon: name another directory with --data-root", data_root.display());
    }
    Ok(())
}

/// Docker's own daemon knows nothing of our locks; its pid file tells.
fn refuse_running(pidfile: &Path) -> anyhow::Result<()> {
    let Ok(text) = std::fs::read_to_string(pidfile) else { return Ok(()) };
    let Ok(pid) = text.trim().parse::<u32>() else { return Ok(()) };
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    // A number that somebody else has by now is no daemon.
    if pid != std::process::id() && name.trim() == "dockerd" {
        bail!(
            "failed to start daemon, ensure docker is not running or delete {}: process with PID {pid} is still running",
            pidfile.display()
        );
    }
    Ok(())
}

/// Holds the data root of a daemon that does not run.
///
/// # Errors
/// When it does, or when the directory is no data root.
pub(super) fn hold_data_root(root: &Path) -> anyhow::Result<File> {
    if !root.join("image").is_dir() {
        bail!("{} is not the data root of a daemon", root.display());
    }
    refuse_foreign(root)?;
    lock(root)
}

/// Locks a root and writes into the lock whose it is.
fn lock(root: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(root).with_context(|| format!("create {}", root.display()))?;
    let path = root.join(LOCK);
    let made = File::options().create(true).truncate(false).write(true).open(&path);
    // Held open for reading only: the file system may still be made read-only.
    let file = made.and_then(|_| File::open(&path)).with_context(|| format!("open {}", path.display()))?;
    let deadline = Instant::now() + PATIENCE;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        match holder(&path) {
            // What a killed daemon was just about to execute has its descriptors for a moment more.
            Some(pid) if !Path::new("/proc").join(pid.to_string()).exists() && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Some(pid) => bail!("{} is in use by another daemon, the process {pid}", root.display()),
            None => bail!("{} is in use by another daemon", root.display()),
        }
    }
    std::fs::write(&path, format!("{}\n", std::process::id())).with_context(|| format!("write {}", path.display()))?;
    Ok(file)
}

/// Who has written itself into a lock.
fn holder(path: &Path) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
