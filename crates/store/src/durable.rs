//! What a power cut may take, and what it leaves whole.
//!
//! Hundreds of megabytes take the disk longer than the processor needs to unpack them, and nobody waits for that: an
//! image is there when it is written, and reaches the disk behind the answer. Until then each of its layers has a mark,
//! a file that names the boot in which it was written. A daemon that finds a mark of another boot knows that the power
//! went before the layer had reached the disk: the layer, and the images made of it, are forgotten as if they had
//! never come. A daemon that was only killed finds marks of its own boot; nothing is lost then.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use types::Digest;

use crate::names::Names;
use crate::paths::Paths;
use crate::records::{chain_ids, list, parse};
use crate::{ChainId, Error, ImageConfig, ImageId, Result, Store, driver};

/// Several images that come one after the other are flushed together.
const DELAY: Duration = Duration::from_secs(1);

/// Brings layers to the disk behind the answer.
#[derive(Clone, Debug)]
pub(crate) struct Flusher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    marks: PathBuf,
    boot: String,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Marks of layers that are recorded and may not have reached the disk.
    written: HashSet<PathBuf>,
    /// Those that are reaching it now.
    flushing: HashSet<PathBuf>,
    at_work: bool,
}

impl Flusher {
    /// Reads the marks of a data root; what the power took is forgotten first.
    pub(crate) fn open(paths: &Paths) -> Result<Self> {
        let (boot, marks) = (boot(), paths.unsynced());
        driver::make_directory_all(&marks, 0o700)?;
        let all = list(&marks).into_iter().map(|name| marks.join(name));
        let ours = |mark: &PathBuf| fs::read_to_string(mark).is_ok_and(|text| text == boot);
        let (written, lost): (HashSet<PathBuf>, HashSet<PathBuf>) = all.partition(ours);
        forget(paths, &lost)?;
        // A daemon that was killed between a mark and its layer's record left a mark of nothing.
        let recorded = |mark: &PathBuf| mark.file_name().is_some_and(|name| paths.layer_records().join(name).exists());
        let (written, stray): (HashSet<PathBuf>, HashSet<PathBuf>) = written.into_iter().partition(recorded);
        stray.iter().try_for_each(|mark| remove(mark, |mark| fs::remove_file(mark)))?;
        let queue = Mutex::new(Queue { written, ..Queue::default() });
        let flusher = Self(Arc::new(Shared { root: paths.root().to_owned(), marks, boot, queue }));
        flusher.flush_later();
        Ok(flusher)
    }

    /// Marks a layer that is about to get its record.
    pub(crate) fn announce(&self, chain: &ChainId) -> Result<()> {
        let mark = self.mark(chain);
        // An earlier one of the same content may be on its way to the disk.
        self.lock().take(&mark);
        driver::write(&mark, self.0.boot.as_bytes())
    }

    /// The layer has its record.
    pub(crate) fn written(&self, chain: &ChainId) {
        self.lock().written.insert(self.mark(chain));
    }

    /// The layer is gone.
    pub(crate) fn gone(&self, chain: &ChainId) {
        let mark = self.mark(chain);
        if self.lock().take(&mark) {
            // What cannot be removed is when the daemon starts again.
            let _ = fs::remove_file(mark);
        }
    }

    /// Flushes in a moment what is written by then.
    pub(crate) fn flush_later(&self) {
        let mut queue = self.lock();
        if queue.at_work || queue.written.is_empty() {
            return;
        }
        let flusher = self.clone();
        let work = move || flusher.work();
        match std::thread::Builder::new().name("store-flush".to_owned()).stack_size(128 * 1024).spawn(work) {
            Ok(_) => queue.at_work = true,
            // The next image, or the next start, tries again.
            Err(error) => tracing::warn!(%error, "cannot start a thread to flush layers"),
        }
    }

    fn work(&self) {
        loop {
            std::thread::sleep(DELAY);
            let flushed = self.flush();
            let mut queue = self.lock();
            if let Err(error) = &flushed {
                tracing::error!(%error, root = %self.0.root.display(), "layers do not reach the disk");
            }
            // A mark that cannot be removed is tried again behind the next image.
            if flushed.is_err() || queue.written.is_empty() {
                queue.at_work = false;
                return;
            }
        }
    }

    /// Brings what is written by now to the disk.
    pub(crate) fn flush(&self) -> std::io::Result<()> {
        let marks = {
            let mut queue = self.lock();
            let written = std::mem::take(&mut queue.written);
            queue.flushing.extend(written.iter().cloned());
            written
        };
        if marks.is_empty() {
            return Ok(());
        }
        let flushed = File::open(&self.0.root).and_then(|root| Ok(rustix::fs::syncfs(&root)?));
        {
            let mut queue = self.lock();
            for mark in marks {
                // One that was taken back meanwhile is gone, or about another layer of the same content.
                if !queue.flushing.remove(&mark) {
                    continue;
                }
                let done = flushed.is_ok() && fs::remove_file(&mark).is_ok();
                if !done {
                    queue.written.insert(mark);
                }
            }
        }
        flushed?;
        // A mark that came back with the power would cost a layer that is there.
        File::open(&self.0.marks)?.sync_all()
    }

    fn mark(&self, chain: &ChainId) -> PathBuf {
        self.0.marks.join(chain.hex())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Brings every image to the disk: before a daemon ends, because the machine may end next.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn flush(&self) -> Result<()> {
        let root = self.0.paths.root();
        self.0.flusher.flush().map_err(|source| Error::io("sync", root, source))
    }
}

/// What tells this boot of the machine from others (random(4)); empty where there is no such thing.
pub(crate) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

impl Queue {
    /// Forgets a mark; `false` when it was on the disk already.
    fn take(&mut self, mark: &Path) -> bool {
        let (written, flushing) = (self.written.remove(mark), self.flushing.remove(mark));
        written || flushing
    }
}

/// Removes the records of layers that did not reach the disk, of those on top of them, and of the images made of any.
/// Their files go with everything that no record mentions.
fn forget(paths: &Paths, marks: &HashSet<PathBuf>) -> Result<()> {
    let chain = |mark: &PathBuf| Digest::from_hex(mark.file_name()?.to_str()?).ok().map(ChainId);
    let mut lost: HashSet<ChainId> = marks.iter().filter_map(chain).collect();
    if !lost.is_empty() {
        with_children(paths, &mut lost);
        tracing::warn!(layers = lost.len(), "the power went before these layers were on the disk: they are forgotten");
        forget_images(paths, &lost)?;
        for chain in &lost {
            remove(&paths.layer_record(chain), |path| fs::remove_dir_all(path))?;
        }
    }
    // Last: what was interrupted is done again.
    marks.iter().try_for_each(|mark| remove(mark, |path| fs::remove_file(path)))
}

/// Adds the layers on top of lost ones.
fn with_children(paths: &Paths, lost: &mut HashSet<ChainId>) {
    let record = |name: String| {
        let chain = Digest::from_hex(&name).ok().map(ChainId)?;
        let parent: ChainId = parse(&paths.layer_record(&chain).join("parent")).ok()?;
        Some((chain, parent))
    };
    let parents: Vec<_> = list(&paths.layer_records()).into_iter().filter_map(record).collect();
    loop {
        let before = lost.len();
        for (chain, parent) in &parents {
            if lost.contains(parent) {
                lost.insert(*chain);
            }
        }
        if lost.len() == before {
            return;
        }
    }
}

/// Removes images made of lost layers, and their names.
fn forget_images(paths: &Paths, lost: &HashSet<ChainId>) -> Result<()> {
    let mut gone = HashSet::new();
    for name in list(&paths.image_contents()) {
        let Ok(id) = Digest::from_hex(&name).map(ImageId) else { continue };
        let path = paths.image_content(&id);
        let bytes = fs::read(&path).map_err(|source| Error::io("read", &path, source))?;
        let config: Option<ImageConfig> = serde_json::from_slice(&bytes).ok();
        let is_whole =
            config.is_some_and(|config| chain_ids(&config.rootfs.diff_ids).iter().all(|chain| !lost.contains(chain)));
        if !is_whole {
            remove(&path, |path| fs::remove_file(path))?;
            gone.insert(id);
        }
    }
    let mut names = Names::read(&paths.repositories())?;
    let theirs: Vec<_> = names.all().filter(|(_, id)| gone.contains(id)).map(|(name, _)| name).collect();
    if theirs.is_empty() {
        return Ok(());
    }
    for name in &theirs {
        names.remove(name);
    }
    names.write(&paths.repositories())
}

fn remove(path: &Path, how: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    match how(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, source)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DriverChoice, Expected, FsckOptions, StoreConfig, fsck_offline};

    fn open(root: &Path) -> Store {
        Store::open(StoreConfig { data_root: root.to_owned(), driver: DriverChoice::Vfs }).expect("open")
    }

    fn layer(name: &str) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &b"1"[..]).expect("entry");
        tar.into_inner().expect("tar")
    }

    fn image(store: &Store, files: &[&str], name: &str) -> ImageId {
        let lease = store.lease();
        let mut parent = None;
        let mut diffs = Vec::new();
        for file in files {
            let layer = store.put_layer(&lease, parent, &mut &layer(file)[..], &Expected::default()).expect("layer");
            parent = Some(layer.chain);
            diffs.push(layer.diff);
        }
        let config = serde_json::json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs}}).to_string();
        store.put_named_image(&lease, config.as_bytes(), None, &[name.parse().expect("name")]).expect("image")
    }

    #[test]
    fn marks_go_when_the_layers_are_on_the_disk() {
        let directory = tempfile::tempdir().expect("directory");
        let store = open(directory.path());
        image(&store, &["a", "b"], "a:1");
        let marks = store.0.paths.unsynced();
        assert_eq!(list(&marks).len(), 2);
        for _ in 0..300 {
            std::thread::sleep(Duration::from_millis(100));
            if list(&marks).is_empty() {
                return;
            }
        }
        panic!("left: {:?}", list(&marks));
    }

    #[test]
    fn a_power_cut_takes_what_was_not_on_the_disk_and_nothing_else() {
        let directory = tempfile::tempdir().expect("directory");
        let store = open(directory.path());
        let (old, new) = (image(&store, &["a"], "old:1"), image(&store, &["a", "b", "c"], "new:1"));
        let chain = store.image(&new).expect("image").chain[1];
        let paths = store.0.paths.clone();
        drop(store);
        list(&paths.unsynced()).iter().for_each(|mark| fs::remove_file(paths.unsynced().join(mark)).expect("mark"));
        // A daemon that was killed loses nothing, but for the mark of a layer that it had not recorded yet.
        let stray = paths.unsynced().join("a".repeat(64));
        fs::write(&stray, boot()).expect("mark");
        let store = open(directory.path());
        assert!(!stray.exists());
        assert!(store.image(&new).is_ok());
        drop(store);
        fs::write(paths.unsynced().join(chain.hex()), "another boot").expect("mark");
        let told = fsck_offline(directory.path(), DriverChoice::Vfs, FsckOptions::default(), &|_| true).expect("look");
        assert!(matches!(&told.problems[..], [problem] if problem.message.contains("the power went")), "{told:?}");
        let store = open(directory.path());
        assert!(store.image(&new).is_err() && store.resolve("new:1").is_err());
        assert_eq!(store.resolve("old:1").expect("name"), old);
        assert!(list(&paths.unsynced()).is_empty());
        store.settle();
        let report = store.fsck(FsckOptions::default(), &|_| true).expect("examination");
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }
}
