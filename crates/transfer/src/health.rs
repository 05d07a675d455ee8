//! Which mirrors do not answer: each pull that finds out pays for it, so the next ones do not ask for a while.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a mirror that did not answer is left alone.
const MEMORY: Duration = Duration::from_secs(30);

/// What a daemon remembers about mirrors.
#[derive(Debug, Default)]
pub struct MirrorHealth(Mutex<HashMap<String, Instant>>);

impl MirrorHealth {
    /// It did not answer a moment ago.
    pub(crate) fn is_down(&self, mirror: &str) -> bool {
        self.lock().get(mirror).is_some_and(|since| since.elapsed() < MEMORY)
    }

    /// It does not answer.
    pub(crate) fn note_down(&self, mirror: &str) {
        let mut all = self.lock();
        all.retain(|_, since| since.elapsed() < MEMORY);
        all.insert(mirror.to_owned(), Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
