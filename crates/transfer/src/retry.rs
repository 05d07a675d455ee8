//! When to try again.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use crate::Error;

/// Before the second attempt, on average a third more.
const FIRST: Duration = Duration::from_millis(500);
/// Longer than this nobody waits by himself; a registry that asks for more gets no further attempt.
const LONGEST: Duration = Duration::from_secs(20);

/// How long to wait behind the `failures`th failure: twice as long each time, spread so that clients that failed
/// together do not come back together. `None` when the registry wants to be left alone for longer than anybody waits.
fn pause(failures: u32, wanted: Option<Duration>) -> Option<Duration> {
    if wanted.is_some_and(|wanted| wanted > LONGEST) {
        return None;
    }
    let steady = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST);
    // Every one has keys of its own.
    let spread = (RandomState::new().hash_one(failures) % 1000) as u32;
    let own = steady + steady * spread / 1500;
    Some(own.max(wanted.unwrap_or_default()))
}

impl Error {
    /// Whether the same request may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Connect { reason, .. } => !reason.starts_with("tls: ") && !reason.starts_with("stopped after"),
            Self::Busy { .. } => true,
            Self::Status { status, .. } => status.starts_with('5'),
            _ => false,
        }
    }

    /// How long the registry asked to be left alone.
    fn wanted_pause(&self) -> Option<Duration> {
        match self {
            Self::Busy { after, .. } => *after,
            _ => None,
        }
    }

    /// What has arrived so far is worth keeping for the next pull.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self, Self::Download { .. } | Self::Canceled) || self.is_transient()
    }
}

/// Attempts at a request that may be repeated.
pub(crate) struct Attempts {
    most: u32,
    failures: u32,
}

impl Attempts {
    pub(crate) fn new(most: u32) -> Self {
        Self { most, failures: 0 }
    }

    /// The last attempt got somewhere: what comes counts from the start.
    pub(crate) fn forgive(&mut self) {
        self.failures = 0;
    }

    /// How long to wait behind a failure, which may pass or not; `None` for no further attempt.
    pub(crate) fn pause(&mut self, error: &Error, passes: bool) -> Option<Duration> {
        self.failures += 1;
        pause(self.failures, error.wanted_pause()).filter(|_| passes && self.failures < self.most)
    }

    /// Waits behind a failure that may pass; gives any other one back, and the last one.
    pub(crate) async fn again(&mut self, error: Error) -> Result<(), Error> {
        match self.pause(&error, error.is_transient()) {
            Some(wait) => {
                tracing::info!(%error, "trying again");
                tokio::time::sleep(wait).await;
                Ok(())
            }
            None => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_somewhere() {
        let first = pause(1, None).expect("a pause");
        assert!(first >= FIRST && first < FIRST * 2, "{first:?}");
        let fourth = pause(4, None).expect("a pause");
        assert!(fourth >= FIRST * 8 && fourth < FIRST * 16, "{fourth:?}");
        assert!(pause(40, None).is_some_and(|wait| wait >= LONGEST && wait < LONGEST * 2));
        assert_eq!(pause(1, Some(Duration::from_secs(10))), Some(Duration::from_secs(10)));
        assert_eq!(pause(1, Some(Duration::from_secs(3600))), None);
    }
}
