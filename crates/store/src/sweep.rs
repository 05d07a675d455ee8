//! Removal of directories behind the answer.
//!
//! A directory that goes is renamed away, which takes microseconds. Freeing a block takes about 4 ms on ext4
//! mounted with `discard` without a journal (measured on Linux 6.18: `ext4_free_blocks` waits for the device's
//! discard, a removed directory's parent locked meanwhile and other work on the file system slowed), and a
//! container has twenty directories and small files. Therefore two places take turns: one receives, in the other
//! one nobody but the sweeper works; and each step that frees a block waits for a quiet moment.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::driver::{make_directory_all, random_id};
use crate::remove_tree::remove_tree;
use crate::{Error, Result, Store};

/// Threads wait rather than work, but more of them would slow others down.
const THREADS: usize = 2;
/// Nothing has been taken away for so long: a quiet moment.
const QUIET: Duration = Duration::from_millis(250);
/// With so many directories waiting, the space matters more.
const PATIENCE: usize = 4096;

/// Directories to remove, and the threads that do; there are none while there is nothing to remove.
#[derive(Clone, Debug)]
pub(crate) struct Sweeper(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    places: [PathBuf; 2],
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// The place that receives.
    receiving: usize,
    received: Vec<PathBuf>,
    /// What is left to remove in the other place.
    sweeping: Vec<PathBuf>,
    threads: usize,
    /// When something was taken away last.
    last: Option<Instant>,
    /// Callers that wait for the end.
    waiting: usize,
}

impl Sweeper {
    /// Prepares the two places below `directory`, and removes what an earlier run left in them.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let places = [directory.join("0"), directory.join("1")];
        let mut left = Vec::new();
        for place in &places {
            make_directory_all(place, 0o700)?;
            left.extend(crate::records::list(place).into_iter().map(|name| place.join(name)));
        }
        let queue = Mutex::new(Queue { sweeping: left, last: Some(Instant::now()), ..Queue::default() });
        let sweeper = Self(Arc::new(Shared { places, queue, changed: Condvar::new() }));
        sweeper.start(&mut sweeper.lock());
        Ok(sweeper)
    }

    /// Takes a directory, and other things with it, away and removes them later. What is not there is no error.
    pub(crate) fn take(&self, parts: &[PathBuf]) -> Result<()> {
        let name = random_id();
        // While this lock is held the receiving place stays the receiving one.
        let mut queue = self.lock();
        let mut doomed: Option<PathBuf> = None;
        let mut failure = None;
        let mut elsewhere = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let target = match &doomed {
                None => self.0.places[queue.receiving].join(&name[..24]),
                Some(first) => first.join(format!("{number}-{}", &name[..8])),
            };
            match fs::rename(part, &target) {
                Ok(()) => doomed = doomed.or(Some(target)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                // Somebody mounted a part of the data root by itself.
                Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => elsewhere.push(part),
                Err(source) => failure = Some(Error::io("remove", part, source)),
            }
        }
        queue.received.extend(doomed);
        queue.last = Some(Instant::now());
        if queue.threads == 0 {
            self.start(&mut queue);
        }
        drop(queue);
        for part in elsewhere {
            if let Err(source) = remove_at_once(part) {
                failure = Some(Error::io("remove", part, source));
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Lets the places change their parts when the other one is done, and starts threads for the work there is.
    fn start(&self, queue: &mut Queue) {
        if queue.sweeping.is_empty() {
            queue.receiving = 1 - queue.receiving;
            queue.sweeping = std::mem::take(&mut queue.received);
        }
        while queue.threads < THREADS.min(queue.sweeping.len()) {
            let sweeper = self.clone();
            let work = move || sweeper.work();
            match std::thread::Builder::new().name("store-sweep".to_owned()).stack_size(128 * 1024).spawn(work) {
                Ok(_) => queue.threads += 1,
                Err(error) => {
                    // The next removal or the next start takes it.
                    tracing::warn!(%error, "cannot start a thread to remove directories");
                    return;
                }
            }
        }
    }

    fn work(&self) {
        let mut queue = self.lock();
        loop {
            while let Some(path) = queue.sweeping.pop() {
                drop(queue);
                let deeper = self.remove(&path);
                queue = self.lock();
                queue.sweeping.extend(deeper);
            }
            // Only the last one may turn the places: the others are still at work in the old one.
            if queue.threads > 1 || queue.received.is_empty() {
                break;
            }
            self.start(&mut queue);
        }
        queue.threads -= 1;
        self.0.changed.notify_all();
    }

    /// Removes one thing, step by step in quiet moments; what it held too deep for one walk is left to be removed.
    fn remove(&self, path: &Path) -> Vec<PathBuf> {
        let place = path.parent().unwrap_or(Path::new("/"));
        let name = || random_id()[..24].to_owned();
        match remove_tree(path, place, &name, &mut || drop(self.quiet(self.lock()))) {
            Ok(moved) => moved.into_iter().map(|name| place.join(name)).collect(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot remove a directory");
                Vec::new()
            }
        }
    }

    /// Says that somebody is at work whom the freeing of blocks would delay.
    pub(crate) fn yield_to_others(&self) {
        self.lock().last = Some(Instant::now());
    }

    /// Waits for a quiet moment, unless somebody waits for us or there is too much to do.
    fn quiet<'a>(&self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        loop {
            let left = queue.last.map_or(Duration::ZERO, |last| QUIET.saturating_sub(last.elapsed()));
            let urgent = queue.waiting > 0 || queue.received.len() + queue.sweeping.len() > PATIENCE;
            if urgent || left.is_zero() {
                return queue;
            }
            queue = self.0.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until nothing has been taken away and nobody was at work for a while, but no longer than `patience`.
    fn wait_for_quiet(&self, patience: Duration) {
        let begin = Instant::now();
        let mut queue = self.lock();
        loop {
            let left = queue.last.map_or(Duration::ZERO, |last| QUIET.saturating_sub(last.elapsed()));
            let left = left.min(patience.saturating_sub(begin.elapsed()));
            if left.is_zero() {
                return;
            }
            queue = self.0.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until there is nothing left to remove.
    fn settle(&self) {
        let mut queue = self.lock();
        queue.waiting += 1;
        self.0.changed.notify_all();
        while queue.threads > 0 {
            queue = self.0.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.waiting -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove_at_once(path: &Path) -> std::io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

impl Store {
    /// Takes a directory of the data root away now and removes it in a quiet moment. One that is not there is fine.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn remove_later(&self, directory: &Path) -> Result<()> {
        self.0.sweeper.take(&[directory.to_owned()])
    }

    /// Waits for a moment in which no container starts and nothing is removed, at most so long.
    pub fn quiet_moment(&self, patience: Duration) {
        self.0.sweeper.wait_for_quiet(patience);
    }

    /// Waits until everything that was removed is off the disk.
    pub fn settle(&self) {
        self.0.sweeper.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_away_at_once_and_removes_in_the_end() {
        let directory = tempfile::tempdir().expect("directory");
        let sweeper = Sweeper::open(&directory.path().join("removed")).expect("open");
        for number in 0..200 {
            let (one, two) = (directory.path().join(format!("a{number}")), directory.path().join(format!("b{number}")));
            fs::create_dir_all(one.join("x")).expect("make");
            fs::create_dir_all(two.join("y/z")).expect("make");
            sweeper.take(&[one.clone(), two.clone(), PathBuf::from("/nowhere/at/all")]).expect("take");
            assert!(!one.exists() && !two.exists());
        }
        sweeper.settle();
        let queue = sweeper.lock();
        assert!(queue.received.is_empty() && queue.sweeping.is_empty());
        let left: Vec<_> = sweeper.0.places.iter().flat_map(|place| crate::records::list(place)).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
