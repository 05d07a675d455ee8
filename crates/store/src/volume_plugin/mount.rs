//! Mounting and unmounting at a plugin.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{PluginVolumes, said};
use crate::{Error, Result, Store, Volume};

impl Store {
    /// Has the plugin mount its volume for a holder, who is told where it is. A holder has one mount of a volume.
    pub(crate) fn hold_at_plugin(&self, volume: &Volume, holder: &str) -> Result<PathBuf> {
        let plugins = &self.0.plugin_volumes;
        let name = &volume.name;
        let failed = |reason: String| Error::VolumeMount { path: volume.mountpoint.clone(), reason };
        let id = crate::driver::random_id();
        {
            let mut records = plugins.records();
            let record = records.get(name).ok_or_else(|| Error::NoSuchVolume(name.clone()))?;
            if record.mounts.values().any(|known| known == holder) && record.volume.mountpoint.is_absolute() {
                return Ok(record.volume.mountpoint.clone());
            }
            records.change(name, |record| drop(record.mounts.insert(id.clone(), holder.to_owned())))?;
        }
        let mounted = plugins.driver(&volume.driver).and_then(|(driver, _)| driver.mount(name, &id));
        let mut records = plugins.records();
        match mounted {
            Ok(path) => {
                records.change(name, |record| record.volume.mountpoint.clone_from(&path))?;
                Ok(path)
            }
            Err(error) => {
                let forgotten = records.change(name, |record| drop(record.mounts.remove(&id)));
                if let Err(error) = forgotten {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(volume = name, error, "a mount that failed is still recorded");
                }
                Err(failed(said(&error)))
            }
        }
    }

    /// Has the plugin unmount what the holder has of it; nothing is fine. What the plugin does not unmount is asked of it
    /// again by the next daemon.
    pub(crate) fn release_at_plugin(&self, volume: &Volume, holder: &str) -> Result<()> {
        let plugins = &self.0.plugin_volumes;
        let mine: Vec<String> = {
            let mut records = plugins.records();
            let Some(record) = records.get(&volume.name) else { return Ok(()) };
            let mine: Vec<String> =
                record.mounts.iter().filter(|(_, known)| *known == holder).map(|(id, _)| id.clone()).collect();
            if mine.is_empty() {
                return Ok(());
            }
            // From here on they are nobody's: the holder's next mount is another one.
            records.change(&volume.name, |record| {
                record.mounts.values_mut().filter(|known| *known == holder).for_each(String::clear);
            })?;
            mine
        };
        mine.iter().try_for_each(|id| plugins.unmount(volume, id))
    }

    /// Takes over from an earlier daemon: what nobody holds any more is unmounted, behind this call.
    pub(crate) fn adopt_at_plugins(&self, held: &[(String, String)]) {
        let mut left: BTreeMap<String, (Volume, Vec<String>)> = BTreeMap::new();
        let mut records = self.0.plugin_volumes.records();
        let volumes: Vec<Volume> = records.all().map(|record| record.volume.clone()).collect();
        for volume in volumes {
            let alive = |holder: &str| held.iter().any(|(name, known)| *name == volume.name && known == holder);
            let changed = records.change(&volume.name, |record| {
                for (id, holder) in record.mounts.iter_mut().filter(|(_, holder)| !alive(holder)) {
                    holder.clear();
                    let entry = left.entry(volume.name.clone()).or_insert_with(|| (volume.clone(), Vec::new()));
                    entry.1.push(id.clone());
                }
            });
            if let Err(error) = changed {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(volume = volume.name, error, "a record of a plugin's volume stays as it is");
            }
        }
        drop(records);
        if left.is_empty() {
            return;
        }
        let store = self.clone();
        // Plugins may take their time, or be started behind this daemon.
        std::thread::spawn(move || {
            for (volume, ids) in left.into_values() {
                for id in ids {
                    if let Err(error) = store.0.plugin_volumes.unmount(&volume, &id) {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(volume = volume.name, error, "a plugin's volume stays mounted");
                    }
                }
            }
        });
    }
}

impl PluginVolumes {
    fn unmount(&self, volume: &Volume, id: &str) -> Result<()> {
        let name = &volume.name;
        let asked = self.driver(&volume.driver).and_then(|(driver, _)| driver.unmount(name, id));
        asked.map_err(|error| Error::VolumePlugin {
            what: format!("error unmounting volume {name}"),
            reason: said(&error),
        })?;
        self.records().change(name, |record| {
            record.mounts.remove(id);
            if record.mounts.is_empty() {
                record.volume.mountpoint = PathBuf::new();
            }
        })
    }
}
