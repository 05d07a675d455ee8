//! What a new container wants of its networks, by the names that those have.

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::error::{Error, Invalid};
use crate::model::{CreateContainer, EndpointRequest, NetworkMode};

impl Engine {
    /// Checks the request's networks; one that does not exist is told at the start, as in Docker.
    ///
    /// # Errors
    /// `InvalidParameter` for settings that contradict each other or the network.
    pub(super) fn plan_endpoints(&self, request: &CreateContainer) -> Result<BTreeMap<String, EndpointRequest>, Error> {
        let name = |reference: &str| match self.network.network(reference) {
            Ok(network) => network.name,
            Err(_) => reference.to_owned(),
        };
        let plain = matches!(request.host.network_mode, NetworkMode::Bridge) && request.endpoints.is_empty();
        if plain {
            return Ok(BTreeMap::new());
        }
        let mut endpoints: BTreeMap<String, EndpointRequest> =
            request.endpoints.iter().map(|(key, wanted)| (name(key), wanted.clone())).collect();
        match &request.host.network_mode {
            NetworkMode::Host if endpoints.keys().any(|name| name != "host") => {
                return Err(Invalid::SharedNetwork.into());
            }
            NetworkMode::None if endpoints.keys().any(|name| name != "none") => return Err(Invalid::NoneNetwork.into()),
            NetworkMode::Container(_) if !endpoints.is_empty() => return Err(Invalid::SharedNetwork.into()),
            NetworkMode::Named(mode) => {
                let main = name(mode);
                if endpoints.is_empty() {
                    endpoints.insert(main.clone(), EndpointRequest::default());
                }
                // Links of a container on a user's network are that network's.
                if let Some(endpoint) = endpoints.get_mut(&main).filter(|endpoint| endpoint.links.is_empty()) {
                    endpoint.links.clone_from(&request.host.links);
                }
            }
            NetworkMode::Bridge
                if endpoints.len() > 1 && endpoints.keys().any(|name| matches!(name.as_str(), "host" | "none")) =>
            {
                return Err(Invalid::NoneNetwork.into());
            }
            _ => {}
        }
        for (name, wanted) in &endpoints {
            self.check_endpoint(name, wanted)?;
        }
        Ok(endpoints)
    }
}
