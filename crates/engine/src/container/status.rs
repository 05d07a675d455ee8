//! The changing side of a container: published to watchers and stored in `containers/<id>/state.json`.

use std::sync::Arc;

use network::EndpointRecord;
use serde::{Deserialize, Deserializer, Serialize};

use crate::attachments::{Attachments, Link};
use crate::error::StateConflict;
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
    /// Its places on networks, while it runs. Older records have at most one, under another name.
    #[serde(default, alias = "endpoint", deserialize_with = "none_one_or_many")]
    pub endpoints: Vec<EndpointRecord>,
    /// The networks it is on, once `connect` or `disconnect` have changed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Attachments>,
    /// Links to other containers on the default bridge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// How many runs have ended; `wait` for the next exit watches it grow.
    #[serde(default)]
    pub runs_ended: u64,
    /// What its health check has shown; stored beside this record, in `health.json`.
    #[serde(skip)]
    pub health: Option<Arc<Health>>,
    /// Frozen, or about to be, by the engine itself for a moment.
    #[serde(default)]
    pub held: bool,
    /// How often the present run was out of memory.
    #[serde(default)]
    pub out_of_memory: u64,
    /// When the last run that ended did so; `inspect` tells it of a container that runs again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<jiff::Timestamp>,
    /// Its removal has begun, so that a daemon that starts goes on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removing: Option<Removing>,
    /// It is about to be removed; stays when that fails.
    #[serde(skip)]
    pub leaving: bool,
    /// The container is gone; the last value watchers see.
    #[serde(skip)]
    pub removed: bool,
}

/// What goes with a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removing {
    /// Its anonymous volumes too.
    pub volumes: bool,
}

impl Status {
    /// Whether the container may be removed without force. To Docker one that is about to be started again is running.
    pub(crate) fn check_removable(&self) -> Result<(), StateConflict> {
        if self.state.is_running() || matches!(self.state, ContainerState::Restarting { .. }) {
            let (name, state) = (format!("/{}", self.name), self.state.word());
            return Err(StateConflict::RemoveRunning { name, state });
        }
        Ok(())
    }

    /// Of a container that has just been created.
    #[must_use]
    pub fn created(name: String) -> Self {
        Self {
            name,
            state: ContainerState::Created,
            restart_count: 0,
            stopped_by_user: false,
            overrides: None,
            endpoints: Vec::new(),
            attachments: None,
            links: Vec::new(),
            runs_ended: 0,
            health: None,
            held: false,
            out_of_memory: 0,
            finished_at: None,
            removing: None,
            leaving: false,
            removed: false,
        }
    }
}

fn none_one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<EndpointRecord>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Many(Vec<EndpointRecord>),
        One(Option<Box<EndpointRecord>>),
    }
    Ok(match Stored::deserialize(deserializer)? {
        Stored::Many(endpoints) => endpoints,
        Stored::One(endpoint) => endpoint.map(|endpoint| *endpoint).into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_with_one_endpoint_are_still_read() {
        let old = r#"{"name":"web","state":"Created","endpoint":null}"#;
        assert!(serde_json::from_str::<Status>(old).is_ok_and(|status| status.endpoints.is_empty()));
        let id = "ab".repeat(32);
        let old = format!(
            r#"{{"name":"web","state":"Created","endpoint":{{"endpoint_id":"{id}","network_id":"{id}","network_name":"bridge","container_id":"{id}","sandbox_id":"{id}","sandbox_key":"/run/x","link":null}}}}"#
        );
        let status: Status = serde_json::from_str(&old).expect("an old record");
        assert!(status.endpoints.len() == 1 && status.endpoints[0].is_gateway && status.endpoints[0].names.is_empty());
        let new = serde_json::to_string(&status).expect("a record");
        assert_eq!(serde_json::from_str::<Status>(&new).expect("a new record").endpoints, status.endpoints);
    }
}
