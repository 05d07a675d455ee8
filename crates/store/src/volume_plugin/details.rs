//! Volumes of all drivers, described and listed.

use std::collections::{BTreeMap, BTreeSet};

use plugin::PluginError;
use serde_json::{Map, Value};

use super::driver::{Driver, Told};
use super::record::Record;
use super::{NO_TIME, VolumeScope, said, unchecked};
use crate::{Error, Result, Store, Volume};

/// A volume, with what its driver says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeDetails {
    /// The volume.
    pub volume: Volume,
    /// How far it reaches.
    pub scope: VolumeScope,
    /// The plugin's own words.
    pub status: Option<Map<String, Value>>,
}

/// Volumes of all drivers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListedVolumes {
    /// Sorted by name.
    pub volumes: Vec<VolumeDetails>,
    /// Why the list may not be whole.
    pub warnings: Vec<String>,
}

// === impl VolumeDetails ===

impl From<Volume> for VolumeDetails {
    /// A volume of the local driver.
    fn from(volume: Volume) -> Self {
        Self { volume, scope: VolumeScope::Local, status: None }
    }
}

impl Store {
    /// One volume, as its driver describes it now.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::VolumePlugin`] when its plugin does not answer.
    pub fn volume_details(&self, name: &str) -> Result<VolumeDetails> {
        if let Some(volume) = self.local_volume(name) {
            return Ok(volume.into());
        }
        let missing = || Error::NoSuchVolume(name.to_owned());
        let plugins = &self.0.plugin_volumes;
        let Some(volume) = plugins.known(name) else {
            return self.probe(name)?.ok_or_else(missing);
        };
        let ask = |driver: &Driver| {
            let Some(mut told) = driver.get(name)? else { return Ok(None) };
            if told.mountpoint.as_os_str().is_empty() {
                // Most plugins have none while nobody uses the volume, and need not say so twice.
                told.mountpoint = driver.path(name).unwrap_or_default();
            }
            Ok(Some(told))
        };
        let found = plugins.driver(&volume.driver).and_then(|(driver, scope)| Ok((ask(&driver)?, scope)));
        let (told, scope) = found.map_err(|error| Error::VolumePlugin {
            what: format!("get {name}"),
            reason: unchecked(name, &volume.driver, &error),
        })?;
        let told = told.ok_or_else(missing)?;
        Ok(VolumeDetails { status: told.status.clone(), ..described(volume, told, scope) })
    }

    /// All volumes, those of plugins included; of some drivers only, when they are named. A plugin that does not answer
    /// is told about in a warning, and what is known of its volumes is listed.
    #[must_use]
    pub fn list_volumes(&self, drivers: &[String]) -> ListedVolumes {
        let wanted = |driver: &str| drivers.is_empty() || drivers.iter().any(|name| name == driver);
        let mut listed = ListedVolumes::default();
        if wanted("local") {
            listed.volumes.extend(self.volumes().into_iter().map(VolumeDetails::from));
        }
        let plugins = &self.0.plugin_volumes;
        let records: Vec<Record> = plugins.records().all().cloned().collect();
        let mut names: BTreeSet<String> = records.iter().map(|record| record.volume.driver.clone()).collect();
        if drivers.is_empty() {
            names.extend(Driver::all(&plugins.plugins).iter().map(|driver| driver.name().to_owned()));
        } else {
            names.extend(drivers.iter().filter(|driver| *driver != "local").cloned());
        }
        names.retain(|name| wanted(name));
        type Answer = std::result::Result<(Vec<Told>, VolumeScope), PluginError>;
        let answers: BTreeMap<String, Answer> = std::thread::scope(|threads| {
            let ask = |name: &str| plugins.driver(name).and_then(|(driver, scope)| Ok((driver.list()?, scope)));
            let asked: Vec<_> = names.iter().map(|name| (name, threads.spawn(move || ask(name)))).collect();
            let answers = asked.into_iter().filter_map(|(name, thread)| Some((name.clone(), thread.join().ok()?)));
            answers.collect()
        });
        for (driver, answer) in answers {
            match answer {
                Ok((volumes, scope)) => {
                    let known = |told: Told| self.known_as(&driver, scope, &records, told);
                    listed.volumes.extend(volumes.into_iter().filter_map(known));
                }
                // A filter may name what there is not.
                Err(PluginError::Missing(_)) if !records.iter().any(|record| record.volume.driver == driver) => {}
                Err(error) => {
                    listed.warnings.push(format!("list {driver}: {}", said(&error)));
                    let own = records.iter().filter(|record| record.volume.driver == driver);
                    listed
                        .volumes
                        .extend(own.map(|record| described(record.volume.clone(), Told::default(), record.scope)));
                }
            }
        }
        listed.volumes.sort_by(|one, other| one.volume.name.cmp(&other.volume.name));
        listed
    }

    /// The drivers of volumes: the local one, and the plugins that were asked for something or have volumes here.
    #[must_use]
    pub fn volume_drivers(&self) -> Vec<String> {
        let mut names = self.0.plugin_volumes.names();
        names.insert("local".to_owned());
        names.into_iter().collect()
    }

    /// A listed volume with what is recorded of it; `None` when another driver has its name.
    fn known_as(&self, driver: &str, scope: VolumeScope, records: &[Record], told: Told) -> Option<VolumeDetails> {
        let record = records.iter().find(|record| record.volume.name == told.name);
        let taken = record.is_some_and(|record| record.volume.driver != driver);
        if taken || self.local_volume(&told.name).is_some() {
            tracing::debug!(plugin = driver, volume = told.name, "left out: another driver has a volume of that name");
            return None;
        }
        let volume = record.map_or_else(
            || Volume {
                name: told.name.clone(),
                driver: driver.to_owned(),
                mountpoint: told.mountpoint.clone(),
                created_at: NO_TIME.to_owned(),
                labels: BTreeMap::new(),
                options: BTreeMap::new(),
                anonymous: false,
            },
            |record| record.volume.clone(),
        );
        Some(described(volume, told, scope))
    }
}

/// What is recorded, with what the plugin says now. It does not tell its status in lists.
fn described(mut volume: Volume, told: Told, scope: VolumeScope) -> VolumeDetails {
    if !told.mountpoint.as_os_str().is_empty() {
        volume.mountpoint = told.mountpoint;
    }
    if !told.created_at.is_empty() {
        volume.created_at = told.created_at;
    }
    VolumeDetails { volume, scope, status: None }
}
