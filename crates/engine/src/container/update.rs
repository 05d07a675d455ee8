//! `update` as the actor does it: limits into the control group of a running container, then the record.

use std::sync::Arc;

use monitor::protocol::Request;

use super::actor::Actor;
use super::overridden;
use crate::error::{Error, StateConflict};
use crate::model::{ContainerState, UpdateContainer};
use crate::{start, update};

impl Actor {
    /// Changes what `request` sets. When the kernel refuses, the control group has its old limits again and nothing
    /// is recorded.
    pub(super) async fn update_limits(&mut self, request: UpdateContainer) -> Result<(), Error> {
        if matches!(self.state(), ContainerState::Dead(_)) {
            return Err(StateConflict::UpdateDead.into());
        }
        let before = self.container.current_spec();
        let overrides = update::merge(&before.host, &request)?;
        let changed = before.host.resources != overrides.resources;
        let after = overridden(&before, &overrides);
        if self.state().is_running() && changed {
            let group = self.engine.cgroup(&self.container.spec)?;
            let before = Arc::clone(&before);
            self.engine.blocking(move || start::change_limits(group, &before.host, &after.host)).await?;
            if let (true, Some(link)) = (overrides.resources.memory > 0, &mut self.link) {
                // Nobody waits for the answer: a group that is not watched still counts until its end.
                drop(link.request(self.container.spec.id.as_str(), &Request::WatchMemory, &[]));
            }
        }
        if request.restart_policy.is_some() {
            self.last_delay = std::time::Duration::ZERO;
        }
        self.update(|status| status.overrides = Some(Box::new(overrides)));
        self.engine.container_event(&self.container, "update", &[]);
        Ok(())
    }
}
