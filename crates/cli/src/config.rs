//! The user's settings file, `~/.docker/config.json`, of which the client uses a few entries.

use std::fs;
use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;

/// What the client uses of the file. An absent or malformed file gives the defaults.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Config {
    /// Keys that detach from a container.
    #[serde(rename = "detachKeys", default)]
    pub detach_keys: String,
    /// Default `--format` of `ps`.
    #[serde(rename = "psFormat", default)]
    pub ps_format: String,
    /// Default `--format` of `stats`.
    #[serde(rename = "statsFormat", default)]
    pub stats_format: String,
    /// Default `--format` of `images`.
    #[serde(rename = "imagesFormat", default)]
    pub images_format: String,
    /// Credentials by registry.
    #[serde(default)]
    pub auths: IndexMap<String, Auth>,
    /// The program `docker-credential-…` that keeps credentials instead of this file.
    #[serde(rename = "credsStore", default)]
    pub credentials_store: String,
    /// Such programs by registry.
    #[serde(rename = "credHelpers", default)]
    pub credential_helpers: IndexMap<String, String>,
}

/// Credentials of one registry.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Auth {
    /// Base64 of `user:password`.
    #[serde(default)]
    pub auth: String,
    /// A token instead of a password.
    #[serde(rename = "identitytoken", default)]
    pub identity_token: String,
}

impl Config {
    /// Reads the file.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }
}
