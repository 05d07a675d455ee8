//! Nothing writes to a volume for a moment: the containers that refer to it are frozen, or kept from starting.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use crate::container::{Container, Held};
use crate::engine::Engine;
use crate::error::{Error, StateConflict};
use crate::model::ContainerState;

/// How often a container may start or end just when it was looked at.
const ATTEMPTS: usize = 10;

impl Engine {
    /// Does `work` while the containers of a volume that run are frozen, and the others cannot start. A container that is
    /// created meanwhile is not among them. Not to be dropped in the middle: it thaws.
    ///
    /// # Errors
    /// What the work answers, or that a container could not be frozen or thawed.
    pub(crate) async fn while_still<T>(
        self: &Arc<Self>,
        volume: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        // Who thaws a container must be the one who froze it.
        let _only = self.still.lock().await;
        let (mut held, mut kept) = (Held::default(), Vec::new());
        let mut all = Ok(());
        for id in self.volume_references.containers_of(volume) {
            let Some(container) = self.containers.by_id(&id) else { continue };
            all = still(&container, &mut held, &mut kept).await;
            if all.is_err() {
                break;
            }
        }
        let result = match all {
            Ok(()) => work.await,
            Err(error) => Err(error),
        };
        held.thaw().await?;
        result
    }
}

async fn still(container: &Arc<Container>, held: &mut Held, kept: &mut Vec<OwnedMutexGuard<()>>) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        match held.freeze(container).await {
            Ok(true) | Err(Error::NoSuchContainer(_)) => return Ok(()),
            Ok(false) => {}
            Err(error) => return Err(error),
        }
        // Its actor is asked nothing while we have this, for which it may be waiting.
        let files = container.hold_files().await;
        // One that a user has paused writes nothing either.
        if !matches!(container.status().state, ContainerState::Running { .. }) {
            kept.push(files);
            return Ok(());
        }
    }
    Err(StateConflict::NotFrozen(container.name()).into())
}
