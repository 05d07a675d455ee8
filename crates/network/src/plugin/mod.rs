//! Plugins of Docker's first kind: programs that listen on a socket and speak JSON over HTTP.
//!
//! | message | who sends | answer |
//! | --- | --- | --- |
//! | `Plugin.Activate` | before anything else, once a daemon's life | `Implements`: `NetworkDriver`, `IpamDriver` |
//! | `NetworkDriver.*` | [`network`] | an object; with `Err` when it failed |
//! | `IpamDriver.*` | [`ipam`] | an object; with `Error` when it failed |
//!
//! Every message is a POST of a JSON object to `/<message>`. Source: Docker's pages about plugins, and libnetwork's about
//! remote drivers and remote IPAM.

mod address;
mod error;
mod http;
pub(crate) mod ipam;
pub(crate) mod network;

use std::collections::HashMap;
use std::sync::Mutex;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::network::lock;
pub(crate) use address::Directories;
pub use error::PluginError;
use http::{Patience, post};

/// What a plugin can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Network,
    Ipam,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Network => "NetworkDriver",
            Self::Ipam => "IpamDriver",
        }
    }
}

/// The plugins of this machine. Nothing is asked before somebody wants one.
#[derive(Debug)]
pub(crate) struct Plugins {
    directories: Directories,
    patience: Patience,
    /// Those that were greeted: what they implement, by name and address.
    known: Mutex<HashMap<(String, String), Vec<String>>>,
}

/// A plugin that was greeted and implements what it is wanted for.
#[derive(Clone, Debug)]
pub(crate) struct Plugin {
    name: String,
    address: address::Address,
    role: Role,
    patience: Patience,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default, rename = "Implements")]
    implements: Vec<String>,
}

/// What every answer may say.
#[derive(Deserialize)]
struct Refusal {
    #[serde(default, rename = "Err")]
    network: String,
    #[serde(default, rename = "Error")]
    ipam: String,
}

impl Plugins {
    pub(crate) fn new(directories: Directories) -> Self {
        Self { directories, patience: Patience::default(), known: Mutex::default() }
    }

    /// Finds and greets a plugin.
    pub(crate) fn find(&self, name: &str, role: Role) -> Result<Plugin, PluginError> {
        let address = self.directories.find(name)?;
        let plugin = Plugin { name: name.to_owned(), address, role, patience: self.patience };
        let key = (name.to_owned(), plugin.address.to_string());
        let known = lock(&self.known).get(&key).cloned();
        let implements = match known {
            Some(implements) => implements,
            None => {
                let manifest: Manifest = plugin.post("Plugin.Activate", &())?;
                lock(&self.known).insert(key, manifest.implements.clone());
                manifest.implements
            }
        };
        if implements.iter().any(|implemented| implemented == role.as_str()) {
            Ok(plugin)
        } else {
            Err(PluginError::Lacks { name: name.to_owned(), role: role.as_str() })
        }
    }
}

impl Plugin {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sends one message of the plugin's role.
    fn call<T: DeserializeOwned>(&self, method: &str, body: &impl Serialize) -> Result<T, PluginError> {
        self.post(&format!("{}.{method}", self.role.as_str()), body)
    }

    fn post<T: DeserializeOwned>(&self, message: &str, body: &impl Serialize) -> Result<T, PluginError> {
        let unreachable = |source| PluginError::Unreachable {
            name: self.name.clone(),
            message: message.to_owned(),
            address: self.address.to_string(),
            source,
        };
        let body = serde_json::to_vec(body).map_err(|error| unreachable(error.into()))?;
        // A call without arguments has no body.
        let body = if body == b"null" { Vec::new() } else { body };
        let answer = post(&self.address, message, &body, self.patience).map_err(unreachable)?;
        let refusal = serde_json::from_slice::<Refusal>(&answer.body).ok();
        let refusal = refusal.and_then(|it| [it.network, it.ipam].into_iter().find(|text| !text.is_empty()));
        if answer.status != 200 {
            let text = refusal.unwrap_or_else(|| String::from_utf8_lossy(&answer.body).trim().to_owned());
            return Err(PluginError::Status { message: message.to_owned(), status: answer.status, text });
        }
        if let Some(text) = refusal {
            return Err(PluginError::Refused(text));
        }
        serde_json::from_slice(&answer.body).map_err(|source| PluginError::BadAnswer {
            name: self.name.clone(),
            message: message.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests;
