//! What an administrator asks about the host's side of networks. Gantry only.

use std::sync::Arc;

use network::Finding;

use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// Puts right what others have changed of bridges, links, kernel switches and the firewall; returns what was wrong.
    ///
    /// # Errors
    /// When the kernel refuses a change.
    pub async fn repair_networks(self: &Arc<Self>) -> Result<Vec<Finding>, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || Ok(engine.network.repair()?)).await
    }
}
