//! Volumes of plugins: which plugin has which name, and what it was asked to mount.
//!
//! A name belongs to one driver ([`record`] says to which one), for as long as the plugin has the volume. While a plugin is
//! asked no lock is held but the mark that one name is being made or removed.

mod details;
mod driver;
mod mount;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use plugin::{Directories, PluginError, Plugins};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Store, Volume, VolumeRequest};
pub use details::{ListedVolumes, VolumeDetails};
use driver::{Driver, Told};
use record::{Record, Records};

/// Docker's time of a volume whose plugin does not say.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// How far a volume reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeScope {
    /// This machine.
    #[default]
    Local,
    /// All machines that have the plugin.
    Global,
}

/// A volume that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeVolume {
    /// The volume.
    pub volume: Volume,
    /// How far it reaches.
    pub scope: VolumeScope,
    /// It was not known here before.
    pub is_new: bool,
    /// It was nowhere before: with whoever asked for it, it may go again.
    pub is_made: bool,
}

/// What is known of plugins' volumes.
#[derive(Debug)]
pub(crate) struct PluginVolumes {
    plugins: Plugins,
    records: Mutex<Records>,
    /// Asked once in a daemon's life.
    scopes: Mutex<BTreeMap<String, VolumeScope>>,
    /// Names that are being made or removed.
    busy: Mutex<BTreeSet<String>>,
    idle: Condvar,
}

/// A name that nobody else makes or removes while the value lives.
#[must_use]
struct Busy<'a> {
    volumes: &'a PluginVolumes,
    name: String,
}

impl VolumeScope {
    /// Docker's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Global => "global",
        }
    }
}

// === impl PluginVolumes ===

impl PluginVolumes {
    pub(crate) fn open(directory: PathBuf, directories: Directories) -> Self {
        Self {
            plugins: Plugins::new(directories),
            records: Mutex::new(Records::open(directory)),
            scopes: Mutex::default(),
            busy: Mutex::default(),
            idle: Condvar::new(),
        }
    }

    /// The volume as it was last seen; nothing is asked.
    pub(crate) fn known(&self, name: &str) -> Option<Volume> {
        self.records().get(name).map(|record| record.volume.clone())
    }

    /// The volume whose record this file is.
    pub(crate) fn recorded_at(&self, path: &Path) -> Option<String> {
        self.records().named_by(path).map(str::to_owned)
    }

    /// Finds a plugin; one that was just greeted is asked how far its volumes reach.
    fn driver(&self, name: &str) -> std::result::Result<(Driver, VolumeScope), PluginError> {
        let driver = Driver::find(&self.plugins, name)?;
        let scope = self.scope(&driver);
        Ok((driver, scope))
    }

    fn scope(&self, driver: &Driver) -> VolumeScope {
        let known = self.scopes().get(driver.name()).copied();
        known.unwrap_or_else(|| {
            let scope = driver.scope();
            self.scopes().insert(driver.name().to_owned(), scope);
            scope
        })
    }

    /// The names of plugins that have volumes, as far as anybody has asked: those of this life, and those of records.
    fn names(&self) -> BTreeSet<String> {
        let used: BTreeSet<String> = self.records().all().map(|record| record.volume.driver.clone()).collect();
        self.scopes().keys().cloned().chain(used).collect()
    }

    fn occupy(&self, name: &str) -> Busy<'_> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        while !busy.insert(name.to_owned()) {
            busy = self.idle.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
        Busy { volumes: self, name: name.to_owned() }
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scopes(&self) -> MutexGuard<'_, BTreeMap<String, VolumeScope>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.volumes.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        self.volumes.idle.notify_all();
    }
}

impl Store {
    /// Creates a volume of any driver, or returns the one of that name.
    ///
    /// # Errors
    /// As [`Store::create_volume`]; [`Error::VolumeConflict`] for a name of another driver, [`Error::VolumePlugin`] when
    /// a plugin refuses or does not answer.
    pub fn make_volume(&self, request: VolumeRequest) -> Result<MadeVolume> {
        let plugins = &self.0.plugin_volumes;
        let local = self.local_volume(&request.name);
        match (local, request.driver.as_str()) {
            (Some(volume), "" | "local") => return Ok(found(volume, VolumeScope::Local)),
            (Some(_), driver) => {
                plugins.driver(driver).map_err(|error| looked_up(&request.name, driver, error))?;
                return Err(conflict(&request.name, "local"));
            }
            (None, _) => {}
        }
        let known = plugins.known(&request.name).is_some();
        // Nobody has a name that was just drawn.
        let unasked = request.anonymous && !known;
        match request.driver.as_str() {
            "local" if !known => self.make_local(request),
            "" if unasked => self.make_local(request),
            _ => {
                let _busy = plugins.occupy(&request.name);
                if let Some(made) = self.existing(&request)? {
                    return Ok(made);
                }
                match request.driver.as_str() {
                    "" | "local" => self.make_local(request),
                    _ => self.make_at_plugin(request),
                }
            }
        }
    }

    /// The volume of a plugin that has the name already: the one of the record, or, when no driver is named, of any.
    fn existing(&self, request: &VolumeRequest) -> Result<Option<MadeVolume>> {
        let plugins = &self.0.plugin_volumes;
        let name = &request.name;
        let Some(volume) = plugins.known(name) else {
            if !request.driver.is_empty() {
                return Ok(None);
            }
            return match self.probe(name)? {
                Some(details) => Ok(Some(MadeVolume { is_new: true, ..found(details.volume, details.scope) })),
                None => Ok(None),
            };
        };
        if !matches!(request.driver.as_str(), "" | "local") {
            plugins.driver(&request.driver).map_err(|error| looked_up(name, &request.driver, error))?;
        }
        let there = plugins.driver(&volume.driver).and_then(|(driver, scope)| Ok((driver.get(name)?, scope)));
        let (there, scope) = there.map_err(|error| Error::VolumeUnsure {
            name: name.clone(),
            driver: volume.driver.clone(),
            reason: unchecked(name, &volume.driver, &error),
        })?;
        if there.is_none() {
            // It has gone without a word to us.
            let mut records = plugins.records();
            if records.get(name).is_some_and(|record| record.mounts.values().any(|holder| !holder.is_empty())) {
                return Err(Error::VolumeLost { name: name.clone(), driver: volume.driver });
            }
            records.remove(name)?;
            return Ok(None);
        }
        if !request.driver.is_empty() && request.driver != volume.driver {
            return Err(conflict(name, &volume.driver));
        }
        Ok(Some(found(volume, scope)))
    }

    fn make_at_plugin(&self, request: VolumeRequest) -> Result<MadeVolume> {
        let plugins = &self.0.plugin_volumes;
        let name = &request.name;
        let (driver, scope) =
            plugins.driver(&request.driver).map_err(|error| looked_up(name, &request.driver, error))?;
        let failed = |error: PluginError| Error::VolumePlugin { what: format!("create {name}"), reason: said(&error) };
        let told = driver.get(name).map_err(failed)?;
        if told.is_none() {
            driver.create(name, &request.options).map_err(failed)?;
        }
        let is_made = told.is_none();
        let volume = recorded(&request, told.unwrap_or_default());
        let record = Record { volume: volume.clone(), scope, mounts: BTreeMap::new() };
        self.keep_record(record).inspect_err(|_| {
            if is_made && let Err(error) = driver.remove(name) {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(plugin = driver.name(), volume = name, error, "a volume was not taken back");
            }
        })?;
        Ok(MadeVolume { volume, scope, is_new: true, is_made })
    }

    /// Looks for a volume that only its plugin knows of, at all of them, and keeps a record of it.
    fn probe(&self, name: &str) -> Result<Option<VolumeDetails>> {
        let plugins = &self.0.plugin_volumes;
        for driver in Driver::all(&plugins.plugins) {
            match driver.get(name) {
                Ok(Some(told)) => {
                    let request =
                        VolumeRequest { name: name.to_owned(), driver: driver.name().to_owned(), ..Default::default() };
                    let (scope, status) = (plugins.scope(&driver), told.status.clone());
                    let volume = recorded(&request, told);
                    self.keep_record(Record { volume: volume.clone(), scope, mounts: BTreeMap::new() })?;
                    return Ok(Some(VolumeDetails { volume, scope, status }));
                }
                Ok(None) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(plugin = driver.name(), volume = name, error, "a plugin is not asked");
                }
            }
        }
        Ok(None)
    }

    /// The name is the plugin's, unless the local driver has been quicker.
    fn keep_record(&self, record: Record) -> Result<()> {
        let volumes = self.volumes_locked();
        if volumes.contains_key(&record.volume.name) {
            return Err(conflict(&record.volume.name, "local"));
        }
        self.0.plugin_volumes.records().put(record)
    }

    /// Removes a volume that a plugin has, which `None` says is not so. What refuses to go stays in the plugin; `force`
    /// forgets it here.
    pub(crate) fn remove_at_plugin(&self, name: &str, force: bool) -> Option<Result<()>> {
        let plugins = &self.0.plugin_volumes;
        let volume = plugins.known(name)?;
        let _busy = plugins.occupy(name);
        let unchecked = |error: PluginError| Error::VolumePlugin {
            what: format!("get {name}"),
            reason: unchecked(name, &volume.driver, &error),
        };
        let remove = || {
            let (driver, _) = plugins.driver(&volume.driver).map_err(unchecked)?;
            if driver.get(name).map_err(unchecked)?.is_none() {
                plugins.records().remove(name)?;
                return if force { Ok(()) } else { Err(Error::NoSuchVolume(name.to_owned())) };
            }
            let removed = driver
                .remove(name)
                .map_err(|error| Error::VolumePlugin { what: format!("remove {name}"), reason: said(&error) });
            if removed.is_ok() || force {
                plugins.records().remove(name)?;
            }
            removed
        };
        Some(remove())
    }

    /// Why something that only local volumes can have done is not done.
    pub(crate) fn not_local(&self, action: &'static str, name: &str) -> Error {
        let name = name.to_owned();
        match self.0.plugin_volumes.known(&name) {
            Some(volume) => Error::VolumeOfPlugin { action, name, driver: volume.driver },
            None => Error::NoSuchVolume(name),
        }
    }

    fn make_local(&self, request: VolumeRequest) -> Result<MadeVolume> {
        let (volume, is_new) = self.create_local(request)?;
        Ok(MadeVolume { volume, scope: VolumeScope::Local, is_new, is_made: is_new })
    }
}

/// One that was there before.
fn found(volume: Volume, scope: VolumeScope) -> MadeVolume {
    MadeVolume { volume, scope, is_new: false, is_made: false }
}

fn recorded(request: &VolumeRequest, told: Told) -> Volume {
    Volume {
        name: request.name.clone(),
        driver: request.driver.clone(),
        mountpoint: told.mountpoint,
        created_at: if told.created_at.is_empty() { NO_TIME.to_owned() } else { told.created_at },
        labels: crate::volume::labels(request),
        options: request.options.clone(),
        anonymous: request.anonymous,
    }
}

pub(crate) fn conflict(name: &str, driver: &str) -> Error {
    Error::VolumeConflict { name: name.to_owned(), driver: driver.to_owned() }
}

/// A plugin that cannot be used, in Docker's words.
fn looked_up(volume: &str, driver: &str, error: PluginError) -> Error {
    let (volume, driver) = (volume.to_owned(), driver.to_owned());
    match error {
        PluginError::Missing(_) => Error::VolumeDriver { volume, driver },
        error => Error::VolumePlugin {
            what: format!("create {volume}: error looking up volume plugin {driver}"),
            reason: said(&error),
        },
    }
}

fn unchecked(volume: &str, driver: &str, error: &PluginError) -> String {
    format!("error while checking if volume {volume:?} exists in driver {driver:?}: {}", said(error))
}

/// What went wrong, as one text; the plugin's own words stand alone.
fn said(error: &PluginError) -> String {
    if let PluginError::Refused(text) = error {
        return text.clone();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
