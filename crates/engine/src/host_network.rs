//! What an administrator asks about the host's side of networks. Gantry only.

use std::sync::Arc;

use network::{Explanation, Finding, Question};

use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// Tells which rule of the host admits or drops a new connection to one of its ports.
    ///
    /// # Errors
    /// When the rules cannot be read, or the daemon has no firewall.
    pub async fn explain_firewall(self: &Arc<Self>, question: Question) -> Result<Explanation, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || Ok(engine.network.explain(question)?)).await
    }

    /// Puts right what others have changed of bridges, links, kernel switches and the firewall; returns what was wrong.
    ///
    /// # Errors
    /// When the kernel refuses a change.
    pub async fn repair_networks(self: &Arc<Self>) -> Result<Vec<Finding>, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || Ok(engine.network.repair()?)).await
    }
}
