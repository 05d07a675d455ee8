//! How long to wait between two repairs. Pure.

use std::time::{Duration, Instant};

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(30);
/// Who leaves the rules alone for so long is no longer fighting.
const FORGIVEN: Duration = Duration::from_secs(60);

/// Doubles the pause with every repair that follows another soon.
#[derive(Debug, Default)]
pub(super) struct Patience {
    last: Option<Instant>,
    pause: Duration,
}

// === impl Patience ===

impl Patience {
    /// Something was put back. Returns whether that is news, to be told.
    pub(super) fn repaired(&mut self, now: Instant) -> bool {
        let news = self.pause(now).is_zero();
        self.pause = if news { SHORTEST } else { (self.pause * 2).min(LONGEST) };
        self.last = Some(now);
        news
    }

    /// How long to wait before the next look.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        match self.last {
            Some(last) if now.duration_since(last) < FORGIVEN => self.pause,
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fight_gets_slower_and_is_forgotten() {
        let mut patience = Patience::default();
        let start = Instant::now();
        assert!(patience.pause(start).is_zero());
        assert!(patience.repaired(start));
        assert!(!patience.repaired(start));
        assert_eq!(patience.pause(start), SHORTEST * 2);
        for _ in 0..20 {
            patience.repaired(start);
        }
        assert_eq!(patience.pause(start), LONGEST);
        assert!(patience.pause(start + FORGIVEN).is_zero());
        assert!(patience.repaired(start + FORGIVEN));
    }
}
