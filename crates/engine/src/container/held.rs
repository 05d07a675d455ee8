//! Containers that are frozen for a moment, so that their files are of one moment.

use std::sync::Arc;

use super::{Command, Container};
use crate::error::Error;

/// Containers that were frozen. Whoever has them thaws them, whatever becomes of the client that wanted it; a daemon that
/// starts thaws what was left so.
#[must_use]
#[derive(Default)]
pub(crate) struct Held(Vec<Arc<Container>>);

// === impl Held ===

impl Held {
    /// Freezes a container if it runs; whether it did.
    ///
    /// # Errors
    /// What its actor answers.
    pub(crate) async fn freeze(&mut self, container: &Arc<Container>) -> Result<bool, Error> {
        let held = container.ask(Command::Hold).await?;
        if held {
            self.0.push(Arc::clone(container));
        }
        Ok(held)
    }

    /// Thaws them.
    ///
    /// # Errors
    /// The first refusal; the others are thawed all the same.
    pub(crate) async fn thaw(self) -> Result<(), Error> {
        let mut result = Ok(());
        for container in self.0 {
            match container.ask(Command::Unpause).await {
                // Somebody thawed or ended it meanwhile.
                Ok(()) | Err(Error::State(_) | Error::NoSuchContainer(_)) => {}
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }
}
