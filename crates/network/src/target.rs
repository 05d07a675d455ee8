//! What a reference to a network means.

use std::sync::Arc;

use types::NetworkId;

use crate::bridge::Bridge;
use crate::driver::DriverNetwork;
use crate::{Error, Network, info};

/// A network that containers can be attached to.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Bridge(Arc<Bridge>),
    Driver(Arc<DriverNetwork>),
    Host(NetworkId),
    None(NetworkId),
}

impl Network {
    /// The id behind a reference, where it means one network.
    #[must_use]
    pub fn id_of(&self, reference: &str) -> Option<NetworkId> {
        match self.target(reference).ok()? {
            Target::Bridge(bridge) => Some(bridge.id.clone()),
            Target::Driver(network) => Some(network.definition.id.clone()),
            Target::Host(id) | Target::None(id) => Some(id),
        }
    }

    /// Whether a network has no way to the outside; one that is not there has none.
    #[must_use]
    pub fn is_internal(&self, reference: &str) -> bool {
        match self.target(reference) {
            Ok(Target::Bridge(bridge)) => bridge.internal,
            Ok(Target::Driver(network)) => network.leads_nowhere(),
            _ => true,
        }
    }

    /// Where a container that wants this network is to be attached.
    pub(crate) fn target(&self, reference: &str) -> Result<Target, Error> {
        let bridges = self.bridges();
        let disabled = || Error::BridgeDisabled;
        if matches!(reference, "bridge" | "default") {
            return bridges.default.clone().map(Target::Bridge).ok_or_else(disabled);
        }
        let records = &self.records;
        let predefined = [(&records.bridge.id, "bridge"), (&records.host.id, "host"), (&records.none.id, "none")];
        let users = bridges.users.iter().map(|user| (&user.record.definition.id, user.record.definition.name.as_str()));
        let configurations = self.configurations();
        let only = configurations.iter().map(|other| (&other.id, other.name.as_str()));
        let drivers = self.drivers.made();
        let others = drivers.iter().map(|other| (&other.definition.id, other.definition.name.as_str()));
        let id = info::find(predefined.into_iter().chain(users).chain(only).chain(others), reference)?;
        if configurations.iter().any(|other| other.id == id) {
            return Err(Error::ConfigurationOnly);
        }
        if id == records.host.id {
            return Ok(Target::Host(id));
        }
        if id == records.none.id {
            return Ok(Target::None(id));
        }
        if id == records.bridge.id {
            return bridges.default.clone().map(Target::Bridge).ok_or_else(disabled);
        }
        if let Some(other) = drivers.iter().find(|other| other.definition.id == id) {
            return Ok(Target::Driver(Arc::clone(other)));
        }
        let user = bridges.users.iter().find(|user| user.record.definition.id == id);
        let user = user.ok_or_else(|| Error::UnknownNetwork(reference.to_owned()))?;
        user.bridge.clone().map(Target::Bridge).ok_or_else(|| Error::BridgeMissing(user.record.device.clone()))
    }
}
