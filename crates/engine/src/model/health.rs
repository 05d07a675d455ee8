//! Health: what the checks of a running container have found.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::process::Healthcheck;

/// Results that are remembered.
const KEPT: usize = 5;
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// What a health check has shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Not decided since the container started.
    #[default]
    Starting,
    /// The last check that counted succeeded.
    Healthy,
    /// Too many failures in a row; also while nothing is checked, because the container is stopped or frozen.
    Unhealthy,
}

/// One run of the check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Exit code; -1 when it took too long or could not be started.
    pub exit_code: i64,
    /// The first 4096 bytes of what it wrote.
    pub output: String,
}

/// State of a container's health check (Docker's `Health`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last results, oldest first.
    pub log: Vec<CheckResult>,
}

/// What happens to a container that becomes unhealthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnhealthy {
    /// It is reported, as in Docker.
    #[default]
    Nothing,
    /// It is stopped and started again.
    Restart,
    /// It is stopped; the restart policy keeps still, as after a `stop`.
    Stop,
    /// It is killed; the restart policy acts.
    Kill,
}

// === impl HealthStatus ===

impl HealthStatus {
    /// The API's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

// === impl OnUnhealthy ===

impl OnUnhealthy {
    /// The annotation (or label) by which every client can ask for it.
    pub const KEY: &str = "gantry.health-on-failure";

    /// Reads the word of `--health-on-failure`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "none" | "" => Self::Nothing,
            "restart" => Self::Restart,
            "stop" => Self::Stop,
            "kill" => Self::Kill,
            _ => return None,
        })
    }
}

// === impl Health ===

impl Health {
    /// Takes a result in; `started` is when the container did. Tells whether the verdict has changed.
    pub(crate) fn record(&mut self, check: &Healthcheck, started: Timestamp, result: CheckResult) -> bool {
        let before = self.status;
        if result.exit_code == 0 {
            self.failing_streak = 0;
            self.status = HealthStatus::Healthy;
        } else {
            let age = result.start.duration_since(started).unsigned_abs();
            let excused = before == HealthStatus::Starting && age < check.start_period();
            if !excused {
                self.failing_streak = self.failing_streak.saturating_add(1);
                if self.failing_streak >= check.retries() {
                    self.status = HealthStatus::Unhealthy;
                }
            }
        }
        if self.log.len() >= KEPT {
            self.log.drain(..=self.log.len() - KEPT);
        }
        self.log.push(result);
        self.status != before
    }
}

// === impl Healthcheck ===

impl Healthcheck {
    /// What is executed: the words of `CMD`, or `CMD-SHELL`'s command in the image's shell. `None`: nothing is checked.
    pub(crate) fn command(&self, shell: Option<&[String]>) -> Option<Vec<String>> {
        let (kind, words) = self.test.split_first()?;
        match (kind.as_str(), words) {
            ("CMD", [_, ..]) => Some(words.to_vec()),
            ("CMD-SHELL", [command, ..]) => {
                let default = ["/bin/sh".to_owned(), "-c".to_owned()];
                let shell = shell.filter(|shell| !shell.is_empty()).unwrap_or(&default);
                Some(shell.iter().chain([command]).cloned().collect())
            }
            _ => None,
        }
    }

    /// How long after the last check the next one comes, `age` after the container's start.
    pub(crate) fn pause(&self, age: Duration, status: HealthStatus) -> Duration {
        if age < self.start_period() && status == HealthStatus::Starting {
            or(self.start_interval, START_INTERVAL)
        } else {
            or(self.interval, INTERVAL)
        }
    }

    /// How long one check may take.
    pub(crate) fn limit(&self) -> Duration {
        or(self.timeout, TIMEOUT)
    }

    fn start_period(&self) -> Duration {
        or(self.start_period, Duration::ZERO)
    }

    fn retries(&self) -> u32 {
        u32::try_from(self.retries).ok().filter(|retries| *retries > 0).unwrap_or(RETRIES)
    }
}

/// Nanoseconds, or the default when they are not set.
fn or(nanoseconds: i64, default: Duration) -> Duration {
    u64::try_from(nanoseconds).ok().filter(|given| *given > 0).map_or(default, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(second: i64, exit_code: i64) -> CheckResult {
        let at = Timestamp::from_second(second).expect("in range");
        CheckResult { start: at, end: at, exit_code, output: String::new() }
    }

    fn seconds(seconds: i64) -> i64 {
        seconds * 1_000_000_000
    }

    #[test]
    fn failures_in_a_row_decide_and_five_results_are_kept() {
        let check = Healthcheck { retries: 2, ..Healthcheck::default() };
        let mut health = Health::default();
        let mut take =
            |second, code| (health.record(&check, Timestamp::UNIX_EPOCH, result(second, code)), health.status);
        assert_eq!(take(1, 0), (true, HealthStatus::Healthy));
        assert_eq!(take(2, 1), (false, HealthStatus::Healthy));
        assert_eq!(take(3, 0), (false, HealthStatus::Healthy));
        assert_eq!(take(4, -1), (false, HealthStatus::Healthy));
        assert_eq!(take(5, 1), (true, HealthStatus::Unhealthy));
        assert_eq!(take(6, 0), (true, HealthStatus::Healthy));
        assert_eq!((health.log.len(), health.log[0].start.as_second(), health.failing_streak), (5, 2, 0));
    }

    #[test]
    fn failures_in_the_start_period_do_not_count_until_the_first_success() {
        let check = Healthcheck { retries: 1, start_period: seconds(10), ..Healthcheck::default() };
        let mut health = Health::default();
        assert!(!health.record(&check, Timestamp::UNIX_EPOCH, result(5, 1)));
        assert_eq!(health.failing_streak, 0);
        assert!(health.record(&check, Timestamp::UNIX_EPOCH, result(6, 0)));
        assert!(health.record(&check, Timestamp::UNIX_EPOCH, result(7, 1)));
        assert_eq!(health.status, HealthStatus::Unhealthy);
    }

    #[test]
    fn pauses_depend_on_the_age() {
        let check = Healthcheck { start_period: seconds(10), interval: seconds(7), ..Healthcheck::default() };
        let pause = |age, status| check.pause(Duration::from_secs(age), status).as_secs();
        assert_eq!(pause(1, HealthStatus::Starting), 5);
        assert_eq!(pause(1, HealthStatus::Healthy), 7);
        assert_eq!(pause(11, HealthStatus::Starting), 7);
        assert_eq!(Healthcheck::default().pause(Duration::ZERO, HealthStatus::Starting), INTERVAL);
    }

    #[test]
    fn tests_become_commands() {
        let command = |test: &[&str], shell: Option<&[String]>| {
            let test = test.iter().map(|&word| word.to_owned()).collect();
            Healthcheck { test, ..Healthcheck::default() }.command(shell).map(|words| words.join(" "))
        };
        assert_eq!(command(&["NONE"], None), None);
        assert_eq!(command(&[], None), None);
        assert_eq!(command(&["CMD", "a", "b"], None).as_deref(), Some("a b"));
        assert_eq!(command(&["CMD-SHELL", "a b"], None).as_deref(), Some("/bin/sh -c a b"));
        let bash = ["/bin/bash".to_owned(), "-c".to_owned()];
        assert_eq!(command(&["CMD-SHELL", "a"], Some(&bash)).as_deref(), Some("/bin/bash -c a"));
    }
}
