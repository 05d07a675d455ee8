//! What is said to a plugin that has volumes (`VolumeDriver.*`).
//!
//! | method | body | answer |
//! | --- | --- | --- |
//! | `Capabilities` | `{}` | `Capabilities.Scope`: `local` or `global`; a plugin need not know the message |
//! | `Create` | `Name`, `Opts` | nothing |
//! | `Get` | `Name` | `Volume`: `Name`, `Mountpoint`, `CreatedAt`, `Status` |
//! | `List` | `{}` | `Volumes`: as that of `Get` |
//! | `Path` | `Name` | `Mountpoint` |
//! | `Mount` | `Name`, `ID` of the mount | `Mountpoint` |
//! | `Unmount` | `Name`, `ID` | nothing |
//! | `Remove` | `Name` | nothing |
//!
//! Each answer has `Err` when it failed. Source: Docker's page about volume plugins.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use plugin::{Plugin, PluginError, Plugins};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::VolumeScope;

pub(super) const ROLE: &str = "VolumeDriver";

/// Docker's time for what changes something, and for what is only asked.
const CHANGES: Duration = Duration::from_secs(120);
const QUESTIONS: Duration = Duration::from_secs(60);

/// A plugin that has volumes.
#[derive(Clone, Debug)]
pub(super) struct Driver(Plugin);

/// A volume, as its plugin describes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Told {
    #[serde(default)]
    pub(super) name: String,
    /// Empty while it is not mounted, with most plugins.
    #[serde(default)]
    pub(super) mountpoint: PathBuf,
    /// RFC 3339 time; empty when the plugin does not say.
    #[serde(default)]
    pub(super) created_at: String,
    #[serde(default)]
    pub(super) status: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Empty {}

#[derive(Deserialize)]
struct Mounted {
    #[serde(default, rename = "Mountpoint")]
    mountpoint: PathBuf,
}

impl Driver {
    pub(super) fn find(plugins: &Plugins, name: &str) -> Result<Self, PluginError> {
        plugins.find(name, ROLE).map(Self)
    }

    pub(super) fn all(plugins: &Plugins) -> Vec<Self> {
        plugins.all(ROLE).into_iter().map(Self).collect()
    }

    pub(super) fn name(&self) -> &str {
        self.0.name()
    }

    /// One that cannot say, or says something else, has its volumes on this machine.
    pub(super) fn scope(&self) -> VolumeScope {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default, rename = "Capabilities")]
            capabilities: Capabilities,
        }
        #[derive(Default, Deserialize)]
        struct Capabilities {
            #[serde(default, rename = "Scope")]
            scope: String,
        }
        match self.0.call_within::<Answer>("Capabilities", &json!({}), QUESTIONS) {
            Ok(answer) if answer.capabilities.scope.eq_ignore_ascii_case("global") => VolumeScope::Global,
            _ => VolumeScope::Local,
        }
    }

    pub(super) fn create(&self, name: &str, options: &BTreeMap<String, String>) -> Result<(), PluginError> {
        self.0.call_within::<Empty>("Create", &json!({ "Name": name, "Opts": options }), CHANGES).map(drop)
    }

    /// `None` when the plugin says that it has no such volume, in whatever words.
    pub(super) fn get(&self, name: &str) -> Result<Option<Told>, PluginError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default, rename = "Volume")]
            volume: Option<Told>,
        }
        match self.0.call_within::<Answer>("Get", &json!({ "Name": name }), QUESTIONS) {
            Ok(answer) => Ok(answer.volume),
            Err(error @ PluginError::Unreachable { .. }) => Err(error),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(plugin = self.name(), volume = name, error, "the plugin does not have the volume");
                Ok(None)
            }
        }
    }

    pub(super) fn list(&self) -> Result<Vec<Told>, PluginError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default, rename = "Volumes")]
            volumes: Option<Vec<Told>>,
        }
        let answer: Answer = self.0.call_within("List", &json!({}), QUESTIONS)?;
        Ok(answer.volumes.unwrap_or_default())
    }

    pub(super) fn path(&self, name: &str) -> Result<PathBuf, PluginError> {
        let answer: Mounted = self.0.call_within("Path", &json!({ "Name": name }), QUESTIONS)?;
        Ok(answer.mountpoint)
    }

    /// The directory where the volume is now.
    pub(super) fn mount(&self, name: &str, id: &str) -> Result<PathBuf, PluginError> {
        let answer: Mounted = self.0.call_within("Mount", &json!({ "Name": name, "ID": id }), CHANGES)?;
        if answer.mountpoint.is_absolute() {
            return Ok(answer.mountpoint);
        }
        if let Err(error) = self.unmount(name, id) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(plugin = self.name(), volume = name, error, "a volume was not unmounted");
        }
        Err(PluginError::BadValue {
            name: self.name().to_owned(),
            what: "mount point",
            value: answer.mountpoint.display().to_string(),
        })
    }

    pub(super) fn unmount(&self, name: &str, id: &str) -> Result<(), PluginError> {
        self.0.call_within::<Empty>("Unmount", &json!({ "Name": name, "ID": id }), CHANGES).map(drop)
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), PluginError> {
        self.0.call_within::<Empty>("Remove", &json!({ "Name": name }), CHANGES).map(drop)
    }
}
