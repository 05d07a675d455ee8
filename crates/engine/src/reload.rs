//! Settings that change while the daemon runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::LiveConfig;
use crate::engine::Engine;
use crate::error::Error;
use crate::model::{EventKind, NamespaceMode};

impl Engine {
    /// The settings of this moment.
    #[must_use]
    pub fn live(&self) -> Arc<LiveConfig> {
        self.live.load_full()
    }

    /// Takes new settings over and tells so by the event `daemon reload`.
    ///
    /// # Errors
    /// When the engine's identity can be neither read nor written.
    pub fn reload(&self, settings: LiveConfig) -> Result<(), Error> {
        let attributes = attributes(&settings);
        self.live.store(Arc::new(settings));
        self.gc_changed.notify_one();
        let id = self.identity()?;
        self.publish(EventKind::Daemon, "reload", &id, attributes);
        Ok(())
    }
}

/// What Docker's event carries. Lists are JSON, the features a Go map.
fn attributes(settings: &LiveConfig) -> BTreeMap<String, String> {
    let json = |list: &[String]| serde_json::to_string(list).unwrap_or_default();
    let features: Vec<String> = settings.features.iter().map(|(name, on)| format!("{name}:{on}")).collect();
    let mode = |mode: &NamespaceMode| match mode {
        NamespaceMode::Private => "private",
        NamespaceMode::Shareable => "shareable",
        NamespaceMode::Host => "host",
        _ if crate::system::CgroupFeatures::observe().version == 2 => "private",
        _ => "host",
    };
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // As users write them, not as they are used.
    let mirrors: Vec<String> =
        settings.registry_mirrors.iter().map(|mirror| mirror.trim_end_matches('/').to_owned()).collect();
    let pairs = [
        ("allow-nondistributable-artifacts", json(&settings.nondistributable_artifacts)),
        ("debug", settings.debug.to_string()),
        ("default-cgroupns-mode", mode(&settings.cgroupns_mode).to_owned()),
        ("default-ipc-mode", mode(&settings.ipc_mode).to_owned()),
        ("default-runtime", settings.default_runtime.clone()),
        ("default-shm-size", settings.shm_size.to_string()),
        ("features", format!("map[{}]", features.join(" "))),
        ("insecure-registries", json(&settings.insecure_registries)),
        ("labels", json(&settings.labels)),
        ("live-restore", settings.live_restore.to_string()),
        ("max-concurrent-downloads", settings.max_concurrent_downloads.to_string()),
        ("max-concurrent-uploads", settings.max_concurrent_uploads.to_string()),
        ("max-download-attempts", settings.max_download_attempts.to_string()),
        ("name", name),
        ("registry-mirrors", json(&mirrors)),
        ("runtimes", "gantry:gantry-runtime runc:gantry-runtime".to_owned()),
        ("shutdown-timeout", settings.shutdown_timeout.to_string()),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_says_what_dockers_says() {
        let settings = LiveConfig {
            labels: vec!["a=b".to_owned()],
            features: [("buildkit".to_owned(), true)].into(),
            ..LiveConfig::default()
        };
        let attributes = attributes(&settings);
        let shown = |key: &str| attributes[key].clone();
        assert_eq!((shown("labels"), shown("registry-mirrors")), ("[\"a=b\"]".to_owned(), "[]".to_owned()));
        assert_eq!(
            (shown("features"), shown("default-shm-size")),
            ("map[buildkit:true]".to_owned(), "67108864".to_owned())
        );
    }
}
