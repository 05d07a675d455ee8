//! Pure: whether and when an ended container is started again.

use std::time::Duration;

use crate::model::RestartPolicy;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A run this long proves that the container works: the delay starts over.
const STEADY_RUN: Duration = Duration::from_secs(10);

/// How a run ended, as far as the policy cares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// Exit code.
    pub code: i32,
    /// How long the run was.
    pub ran_for: Duration,
    /// The end was a user's wish.
    pub stopped_by_user: bool,
    /// Automatic restarts so far.
    pub restarts: u32,
    /// The delay before the last automatic restart; zero when there was none.
    pub last_delay: Duration,
}

/// The delay before the next start, or `None` for "stay down".
pub(super) fn decide(policy: RestartPolicy, ended: Ended) -> Option<Duration> {
    let wanted = match policy {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => !ended.stopped_by_user,
        RestartPolicy::OnFailure { maximum_retry_count: most } => {
            !ended.stopped_by_user && ended.code != 0 && (most == 0 || ended.restarts < most)
        }
    };
    wanted.then(|| {
        if ended.last_delay.is_zero() || ended.ran_for >= STEADY_RUN {
            FIRST_DELAY
        } else {
            (ended.last_delay * 2).min(LONGEST_DELAY)
        }
    })
}

/// Whether a container that is not running is started when the daemon starts.
pub(crate) fn at_daemon_start(policy: RestartPolicy, stopped_by_user: bool, failed: bool, restarts: u32) -> bool {
    match policy {
        RestartPolicy::No => false,
        RestartPolicy::Always => true,
        RestartPolicy::UnlessStopped => !stopped_by_user,
        RestartPolicy::OnFailure { maximum_retry_count: most } => {
            failed && !stopped_by_user && (most == 0 || restarts < most)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: i32, last_delay: u64) -> Ended {
        Ended {
            code,
            ran_for: Duration::from_secs(1),
            stopped_by_user: false,
            restarts: 0,
            last_delay: Duration::from_millis(last_delay),
        }
    }

    #[test]
    fn delay_doubles_up_to_a_minute_and_starts_over() {
        let delay = |ended| decide(RestartPolicy::Always, ended);
        assert_eq!(delay(ended(0, 0)), Some(FIRST_DELAY));
        assert_eq!(delay(ended(0, 100)), Some(Duration::from_millis(200)));
        assert_eq!(delay(ended(0, 50_000)), Some(LONGEST_DELAY));
        assert_eq!(delay(Ended { ran_for: STEADY_RUN, ..ended(0, 50_000) }), Some(FIRST_DELAY));
    }

    #[test]
    fn policies_differ() {
        let stopped = Ended { stopped_by_user: true, ..ended(1, 0) };
        assert_eq!(decide(RestartPolicy::No, ended(1, 0)), None);
        assert_eq!(decide(RestartPolicy::Always, stopped), None);
        let limited = RestartPolicy::OnFailure { maximum_retry_count: 2 };
        assert_eq!(decide(limited, ended(0, 0)), None);
        assert!(decide(limited, Ended { restarts: 1, ..ended(1, 0) }).is_some());
        assert_eq!(decide(limited, Ended { restarts: 2, ..ended(1, 0) }), None);
        assert!(at_daemon_start(RestartPolicy::Always, true, false, 0));
        assert!(!at_daemon_start(RestartPolicy::UnlessStopped, true, false, 0));
        assert!(at_daemon_start(limited, false, true, 1) && !at_daemon_start(limited, false, true, 2));
    }
}
