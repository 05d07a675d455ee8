//! What is known of a container to templates and collectors.

use std::collections::BTreeMap;

use crate::model::ContainerSpec;

/// Docker's `logger.Info`.
#[derive(Clone, Debug, Default)]
pub(super) struct Info {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without the slash.
    pub name: String,
    /// With algorithm.
    pub image_id: String,
    /// As it was asked for.
    pub image_name: String,
    pub entrypoint: String,
    pub args: Vec<String>,
    /// RFC 3339.
    pub created: String,
    pub labels: BTreeMap<String, String>,
    /// `KEY=value`.
    pub env: Vec<String>,
}

// === impl Info ===

impl Info {
    pub(super) fn of(spec: &ContainerSpec, name: &str) -> Self {
        Self {
            id: spec.id.to_string(),
            name: name.to_owned(),
            image_id: spec.image.as_ref().map(ToString::to_string).unwrap_or_default(),
            image_name: spec.config.image.clone(),
            entrypoint: spec.path.clone(),
            args: spec.args.clone(),
            created: spec.created.to_string(),
            labels: spec.config.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            env: spec.config.env.clone(),
        }
    }

    /// Stands for any container where only the form of a template is checked.
    pub(super) fn example() -> Self {
        let id = "0".repeat(64);
        Self { image_id: format!("sha256:{id}"), id, ..Self::default() }
    }

    pub(super) fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    pub(super) fn short_image_id(&self) -> &str {
        self.image_id.get(..12).unwrap_or(&self.image_id)
    }

    pub(super) fn command(&self) -> String {
        let words = std::iter::once(&self.entrypoint).chain(&self.args);
        words.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The value of a variable.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        // The last one counts, as when a process gets them.
        self.env.iter().rev().find_map(|entry| entry.split_once('=').filter(|(key, _)| *key == name)).map(|(_, v)| v)
    }
}

/// The name of this machine.
pub(super) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
