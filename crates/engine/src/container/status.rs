//! The changing side of a container: published to watchers and stored in `containers/<id>/state.json`.

use std::sync::Arc;

use network::EndpointRecord;
use serde::{Deserialize, Serialize};

use crate::model::{ContainerState, Health, Overrides};

/// Name, state and what belongs to the present run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Without the slash.
    pub name: String,
    /// What the container is doing.
    pub state: ContainerState,
    /// Automatic restarts since the last start by a user.
    #[serde(default)]
    pub restart_count: u32,
    /// The last stop was a user's wish: the restart policy keeps still until the next start.
    #[serde(default)]
    pub stopped_by_user: bool,
    /// What `update` has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Box<Overrides>>,
    /// Its place on a network, while it runs.
    #[serde(default)]
    pub endpoint: Option<EndpointRecord>,
    /// How many runs have ended; `wait` for the next exit watches it grow.
    #[serde(default)]
    pub runs_ended: u64,
    /// What its health check has shown; stored beside this record, in `health.json`.
    #[serde(skip)]
    pub health: Option<Arc<Health>>,
    /// Frozen, or about to be, by the engine itself for a moment.
    #[serde(default)]
    pub held: bool,
    /// The container is gone; the last value watchers see.
    #[serde(skip)]
    pub removed: bool,
}

impl Status {
    /// Of a container that has just been created.
    #[must_use]
    pub fn created(name: String) -> Self {
        Self {
            name,
            state: ContainerState::Created,
            restart_count: 0,
            stopped_by_user: false,
            overrides: None,
            endpoint: None,
            runs_ended: 0,
            health: None,
            held: false,
            removed: false,
        }
    }
}
