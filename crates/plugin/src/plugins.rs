//! Finding, greeting and asking.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::address::{Address, Directories};
use crate::error::PluginError;
use crate::http::{Patience, post};

/// The plugins of this machine. Nothing is asked before somebody wants one.
#[derive(Debug)]
pub struct Plugins {
    directories: Directories,
    patience: Patience,
    /// Those that were greeted: what they implement, by name and address.
    known: Mutex<HashMap<(String, String), Vec<String>>>,
}

/// A plugin that was greeted and implements what it is wanted for.
#[derive(Clone, Debug)]
pub struct Plugin {
    name: String,
    address: Address,
    role: &'static str,
    patience: Patience,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default, rename = "Implements")]
    implements: Vec<String>,
}

/// What every answer may say: IPAM drivers name it otherwise than all others.
#[derive(Deserialize)]
struct Refusal {
    #[serde(default, rename = "Err")]
    err: String,
    #[serde(default, rename = "Error")]
    error: String,
}

// === impl Plugins ===

impl Plugins {
    /// Plugins in these directories.
    #[must_use]
    pub fn new(directories: Directories) -> Self {
        Self::with_patience(directories, Patience::default())
    }

    /// As [`Self::new`], waiting for answers as long as that.
    #[must_use]
    pub fn with_patience(directories: Directories, patience: Patience) -> Self {
        Self { directories, patience, known: Mutex::default() }
    }

    /// Finds and greets a plugin of a role.
    ///
    /// # Errors
    /// [`PluginError::Missing`], [`PluginError::Lacks`], or why it cannot be greeted.
    pub fn find(&self, name: &str, role: &'static str) -> Result<Plugin, PluginError> {
        let address = self.directories.find(name)?;
        self.greet(Plugin { name: name.to_owned(), address, role, patience: self.patience })
    }

    /// All plugins of a role. One that cannot be greeted at once is logged and left out; nobody has to wait
    /// long for those that are not there.
    #[must_use]
    pub fn all(&self, role: &'static str) -> Vec<Plugin> {
        let patience = Patience { connect: Duration::ZERO, ..self.patience };
        let greet = |name: String| {
            let address = self.directories.find(&name)?;
            let plugin = self.greet(Plugin { name, address, role, patience })?;
            Ok(Plugin { patience: self.patience, ..plugin })
        };
        // One that is silent holds up nobody but whoever asks.
        std::thread::scope(|threads| {
            let greet = &greet;
            let asked: Vec<_> =
                self.directories.names().into_iter().map(|name| threads.spawn(move || greet(name))).collect();
            let answers = asked.into_iter().filter_map(|thread| thread.join().ok());
            answers.filter_map(|answer| answer.inspect_err(log).ok()).collect()
        })
    }

    fn greet(&self, plugin: Plugin) -> Result<Plugin, PluginError> {
        let key = (plugin.name.clone(), plugin.address.to_string());
        let known = self.known().get(&key).cloned();
        let implements = match known {
            Some(implements) => implements,
            None => {
                let manifest: Manifest = plugin.post("Plugin.Activate", &(), plugin.patience)?;
                self.known().insert(key, manifest.implements.clone());
                manifest.implements
            }
        };
        if implements.iter().any(|implemented| implemented == plugin.role) {
            Ok(plugin)
        } else {
            Err(PluginError::Lacks { name: plugin.name, role: plugin.role })
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(String, String), Vec<String>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log(error: &PluginError) {
    if !matches!(error, PluginError::Lacks { .. } | PluginError::Missing(_)) {
        let error = error as &dyn std::error::Error;
        tracing::debug!(error, "a plugin is left out");
    }
}

// === impl Plugin ===

impl Plugin {
    /// The name by which it was found.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends one message of the plugin's role. A body of `()` is none.
    ///
    /// # Errors
    /// What the plugin says, or that it says nothing.
    pub fn call<T: DeserializeOwned>(&self, method: &str, body: &impl Serialize) -> Result<T, PluginError> {
        self.post(&format!("{}.{method}", self.role), body, self.patience)
    }

    /// As [`Self::call`], waiting for the answer as long as that.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn call_within<T: DeserializeOwned>(
        &self,
        method: &str,
        body: &impl Serialize,
        answer: Duration,
    ) -> Result<T, PluginError> {
        self.post(&format!("{}.{method}", self.role), body, Patience { answer, ..self.patience })
    }

    fn post<T: DeserializeOwned>(
        &self,
        message: &str,
        body: &impl Serialize,
        patience: Patience,
    ) -> Result<T, PluginError> {
        let unreachable = |source| PluginError::Unreachable {
            name: self.name.clone(),
            message: message.to_owned(),
            address: self.address.to_string(),
            source,
        };
        let body = serde_json::to_vec(body).map_err(|error| unreachable(error.into()))?;
        // A call without arguments has no body.
        let body = if body == b"null" { Vec::new() } else { body };
        let answer = post(&self.address, message, &body, patience).map_err(unreachable)?;
        let refusal = serde_json::from_slice::<Refusal>(&answer.body).ok();
        let refusal = refusal.and_then(|it| [it.err, it.error].into_iter().find(|text| !text.is_empty()));
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
