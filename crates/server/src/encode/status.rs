//! The STATUS column: `Up 5 minutes (Paused)`, `Exited (0) 2 hours ago`. Texts: go-units' `HumanDuration`.

use engine::model::ContainerState;
use jiff::Timestamp;

/// The words for a state at a moment.
pub(super) fn status(state: &ContainerState, now: Timestamp) -> String {
    let ago = |then: Timestamp| human(now.as_second().saturating_sub(then.as_second()));
    match state {
        ContainerState::Created => "Created".to_owned(),
        ContainerState::Running { since, .. } => format!("Up {}", ago(*since)),
        ContainerState::Paused { since, .. } => format!("Up {} (Paused)", ago(*since)),
        ContainerState::Restarting { last } => format!("Restarting ({}) {} ago", last.code, ago(last.at)),
        // Docker calls a container whose first start failed `Created`.
        ContainerState::Exited(exit) if exit.started_at.is_none() => "Created".to_owned(),
        ContainerState::Exited(exit) => format!("Exited ({}) {} ago", exit.code, ago(exit.at)),
        ContainerState::Dead(_) => "Dead".to_owned(),
    }
}

/// A duration in the largest unit that makes sense to people.
fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_as_docker_tells_them() {
        for (seconds, text) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"),
            (800 * 86400, "2 years"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }
}
