//! Blobs that did not arrive in full: kept, so that the next download of the same blob goes on where the last one broke.
//!
//! A partial file is linked into the directory of the pull that fills it, and becomes a blob under that name. The link
//! here stays until the pull is done. Only its end is ever written: what another pull has linked cannot change under it.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use types::Digest;

use crate::records::list;
use crate::{Error, Result, Store};

/// What nobody has asked for within this time is given up.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// All partial blobs together, bytes; the oldest ones go first.
const MOST: u64 = 10 << 30;

/// The partial blobs that a download has to itself.
#[derive(Debug, Default)]
pub(crate) struct Taken(Mutex<HashSet<Digest>>);

/// One blob on its way, which nobody else writes. Dropping it keeps what has arrived.
#[derive(Debug)]
pub struct Partial {
    store: Store,
    digest: Digest,
}

impl Store {
    /// Takes a blob to download; `None` while another download has it.
    #[must_use]
    pub fn partial(&self, digest: &Digest) -> Option<Partial> {
        let free = self.0.partials.lock().insert(*digest);
        free.then(|| Partial { store: self.clone(), digest: *digest })
    }

    /// Bytes of a blob that have arrived so far, whoever downloads it.
    #[must_use]
    pub fn partial_size(&self, digest: &Digest) -> u64 {
        fs::metadata(self.0.paths.partial(digest)).map_or(0, |file| file.len())
    }

    /// Forgets a blob that arrived, or one that nobody wants; not while a download has it. Gives the bytes that this freed.
    pub fn forget_partial(&self, digest: &Digest) -> u64 {
        let taken = self.0.partials.lock();
        if taken.contains(digest) {
            return 0;
        }
        let size = self.partial_size(digest);
        remove(&self.0.paths.partial(digest));
        size
    }

    /// Whether a download has this blob at the moment.
    pub(crate) fn is_downloading(&self, digest: &Digest) -> bool {
        self.0.partials.lock().contains(digest)
    }

    /// Bytes of all partial blobs.
    #[must_use]
    pub fn partials_size(&self) -> u64 {
        self.partials().iter().map(|(_, size, _)| size).sum()
    }

    /// The partial blobs that no download has, those untouched for longest first, with their bytes.
    #[must_use]
    pub fn idle_partials(&self) -> Vec<(Digest, u64)> {
        let taken = self.0.partials.lock();
        let mut idle = self.partials();
        idle.retain(|(digest, ..)| !taken.contains(digest));
        idle.sort_by_key(|(_, _, changed)| *changed);
        idle.into_iter().map(|(digest, size, _)| (digest, size)).collect()
    }

    /// Removes what is too old, and then the oldest ones of what is too much.
    pub fn sweep_partials(&self) {
        self.sweep_partials_to(SystemTime::now(), MOST);
    }

    fn sweep_partials_to(&self, now: SystemTime, most: u64) {
        let taken = self.0.partials.lock();
        let mut all = self.partials();
        all.sort_by_key(|(_, _, changed)| *changed);
        let mut total: u64 = all.iter().map(|(_, size, _)| size).sum();
        for (digest, size, changed) in all {
            let old = now.duration_since(changed).is_ok_and(|age| age > LIFE);
            if (old || total > most) && !taken.contains(&digest) {
                remove(&self.0.paths.partial(&digest));
                total -= size;
            }
        }
    }

    /// Digest, bytes and last change of each.
    fn partials(&self) -> Vec<(Digest, u64, SystemTime)> {
        let known = |name: &String| {
            let digest = Digest::from_hex(name).ok()?;
            let file = fs::metadata(self.0.paths.partial(&digest)).ok()?;
            Some((digest, file.len(), file.modified().unwrap_or(SystemTime::UNIX_EPOCH)))
        };
        list(&self.0.paths.partials()).iter().filter_map(known).collect()
    }
}

// === impl Partial ===

impl Partial {
    /// Gives the file a second name and opens it, to be read from its start and written at its end. A blob that the
    /// store has by now counts as arrived.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn open(&self, name: &Path) -> Result<File> {
        let paths = &self.store.0.paths;
        let (partial, blob) = (paths.partial(&self.digest), paths.blob(&self.digest));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::io("open", &path, source)
        };
        if !partial.exists() && fs::hard_link(&blob, name).is_ok() {
            return File::open(name).map_err(failed(name));
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(&partial).map_err(failed(&partial))?;
        match fs::hard_link(&partial, name) {
            Ok(()) => Ok(file),
            Err(source) => Err(Error::io("link", name, source)),
        }
    }

    /// Gives up what has arrived: it is not what it should be.
    pub fn discard(&self) {
        remove(&self.store.0.paths.partial(&self.digest));
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let path = self.store.0.paths.partial(&self.digest);
        let mut taken = self.store.0.partials.lock();
        if fs::metadata(&path).is_ok_and(|file| file.len() == 0) {
            remove(&path);
        }
        taken.remove(&self.digest);
    }
}

impl Taken {
    fn lock(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove a partial blob");
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::{DriverChoice, StoreConfig};

    fn prune(store: &Store) -> u64 {
        store.idle_partials().iter().map(|(digest, _)| store.forget_partial(digest)).sum()
    }

    fn open(root: &Path) -> Store {
        Store::open(StoreConfig { data_root: root.join("data"), driver: DriverChoice::Vfs }).expect("open")
    }

    #[test]
    fn what_has_arrived_outlives_the_store_and_belongs_to_one() {
        let directory = tempfile::tempdir().expect("directory");
        let (store, digest) = (open(directory.path()), Digest::from_sha256([7; 32]));
        let partial = store.partial(&digest).expect("free");
        assert!(store.partial(&digest).is_none());
        let mut file = partial.open(&directory.path().join("data/tmp/one")).expect("open");
        file.write_all(b"half").expect("write");
        store.forget_partial(&digest);
        assert_eq!((store.partial_size(&digest), prune(&store)), (4, 0));
        drop((partial, store));

        let store = open(directory.path());
        assert!(!directory.path().join("data/tmp/one").exists());
        let partial = store.partial(&digest).expect("free again");
        let mut file = partial.open(&directory.path().join("data/tmp/two")).expect("open");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("read");
        file.write_all(b" more").expect("write");
        assert_eq!((text.as_str(), store.partial_size(&digest)), ("half", 9));
        drop(partial);
        assert_eq!((prune(&store), store.partials_size()), (9, 0));
    }

    #[test]
    fn empty_old_and_too_large_ones_go() {
        let directory = tempfile::tempdir().expect("directory");
        let store = open(directory.path());
        for byte in 0..4_u8 {
            let partial = store.partial(&Digest::from_sha256([byte; 32])).expect("free");
            let name = directory.path().join(format!("data/tmp/{byte}"));
            let mut file = partial.open(&name).expect("open");
            file.write_all(&vec![0; usize::from(byte) * 10]).expect("write");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(byte))).expect("time");
        }
        assert_eq!(store.partials().len(), 3);
        store.sweep_partials_to(SystemTime::UNIX_EPOCH, 50);
        assert_eq!(store.partials_size(), 50);
        store.sweep_partials_to(SystemTime::UNIX_EPOCH + LIFE + Duration::from_secs(3), 50);
        assert_eq!(store.partials_size(), 30);
        store.sweep_partials();
        assert_eq!(store.partials_size(), 0);
    }
}
