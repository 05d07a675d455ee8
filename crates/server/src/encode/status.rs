//! The STATUS column: `Up 5 minutes (Paused)`, `Exited (0) 2 hours ago`.

use engine::model::{ContainerState, Health, HealthStatus};
use jiff::Timestamp;
use types::human_duration;

/// The words for a state at a moment.
pub(super) fn status(state: &ContainerState, health: Option<&Health>, now: Timestamp) -> String {
    let ago = |then: Timestamp| human_duration(now.as_second().saturating_sub(then.as_second()));
    match state {
        ContainerState::Created => "Created".to_owned(),
        ContainerState::Running { since, .. } => match health.map(|health| health.status) {
            None => format!("Up {}", ago(*since)),
            Some(HealthStatus::Starting) => format!("Up {} (health: starting)", ago(*since)),
            Some(decided) => format!("Up {} ({})", ago(*since), decided.word()),
        },
        ContainerState::Paused { since, .. } => format!("Up {} (Paused)", ago(*since)),
        ContainerState::Restarting { last } => format!("Restarting ({}) {} ago", last.code, ago(last.at)),
        // Docker calls a container whose first start failed `Created`.
        ContainerState::Exited(exit) if exit.started_at.is_none() => "Created".to_owned(),
        ContainerState::Exited(exit) => format!("Exited ({}) {} ago", exit.code, ago(exit.at)),
        ContainerState::Dead(_) => "Dead".to_owned(),
    }
}
