//! Volumes, as clients ask for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::{ListedVolumes, VolumeDetails, VolumeRequest};

use crate::engine::Engine;
use crate::error::Error;
use crate::filters::{Filters, InvalidFilter};

const KEYS: [&str; 4] = ["dangling", "driver", "label", "name"];

impl Engine {
    /// Lists volumes of all drivers, sorted by name.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn volume_list(self: &Arc<Self>, filters: Filters) -> Result<ListedVolumes, Error> {
        crate::filters::check_keys(&filters, &KEYS)?;
        let dangling = match filters.get("dangling").and_then(|values| values.first()) {
            Some(value) => Some(crate::filters::truth("dangling", value)?),
            None => None,
        };
        let patterns = filters.get("name").map_or(&[][..], Vec::as_slice);
        let names: Vec<regex_lite::Regex> = patterns
            .iter()
            .map(|text| regex_lite::Regex::new(text))
            .collect::<Result<_, _>>()
            .map_err(|_| InvalidFilter::Value { key: "name", value: patterns.join(",") })?;
        let labels: Vec<_> =
            filters.get("label").into_iter().flatten().map(|text| crate::filters::label(text)).collect();
        let drivers = filters.get("driver").cloned().unwrap_or_default();
        let engine = Arc::clone(self);
        self.blocking(move || {
            let used = engine.volume_references.counts();
            let mut listed = engine.store.list_volumes(&drivers);
            listed.volumes.retain(|details| {
                let volume = &details.volume;
                let label = |key: &str| volume.labels.get(key).map(String::as_str);
                dangling.is_none_or(|dangling| dangling != used.contains_key(&volume.name))
                    && crate::filters::any(&names, |name| name.is_match(&volume.name))
                    && crate::filters::labels_match(&labels, label)
            });
            Ok(listed)
        })
        .await
    }

    /// Creates a volume, or returns the one of that name. An empty name draws a random one.
    ///
    /// # Errors
    /// `InvalidParameter` for a bad name or option, `NotFound` for a driver that there is not, `Conflict` for a name of
    /// another driver; what a plugin says.
    pub async fn volume_create(
        self: &Arc<Self>,
        name: &str,
        driver: &str,
        options: BTreeMap<String, String>,
        labels: BTreeMap<String, String>,
    ) -> Result<VolumeDetails, Error> {
        let anonymous = name.is_empty();
        let name = if anonymous { store::random_volume_name() } else { name.to_owned() };
        let request = VolumeRequest { name, anonymous, driver: driver.to_owned(), labels, options };
        let engine = Arc::clone(self);
        self.blocking(move || {
            let made = engine.store.make_volume(request)?;
            if made.is_new {
                engine.volume_event(&made.volume.name, &made.volume.driver, "create");
            }
            Ok(VolumeDetails { volume: made.volume, scope: made.scope, status: None })
        })
        .await
    }

    /// Describes one volume, in the words of its driver.
    ///
    /// # Errors
    /// `NotFound`; that a plugin does not answer.
    pub async fn volume_inspect(self: &Arc<Self>, name: &str) -> Result<VolumeDetails, Error> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        self.blocking(move || Ok(engine.store.volume_details(&name)?)).await
    }

    /// Removes a volume and what is in it.
    ///
    /// # Errors
    /// `NotFound` unless `force`, `Conflict` while containers mount it; what a plugin says.
    pub async fn volume_remove(self: &Arc<Self>, name: &str, force: bool) -> Result<(), Error> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        self.blocking(move || engine.remove_volume(&name, force)).await
    }

    /// As [`Self::volume_remove`], on a thread that may wait.
    pub(crate) fn remove_volume(&self, name: &str, force: bool) -> Result<(), Error> {
        // What is not there is told before who refers to it.
        let driver = match self.store.volume_details(name) {
            Ok(details) => Some(details.volume.driver),
            Err(store::Error::NoSuchVolume(_)) if force => None,
            Err(error) => return Err(error.into()),
        };
        let _closed = self.volume_references.close(name)?;
        self.store.remove_volume(name, force)?;
        if let Some(driver) = driver {
            self.volume_event(name, &driver, "destroy");
        }
        Ok(())
    }

    /// Removes a volume behind its last container; what others refer to stays.
    pub(crate) fn remove_unreferenced(&self, name: &str) -> Result<(), Error> {
        match self.volume_references.close(name) {
            Ok(_closed) => {
                let Ok(volume) = self.store.volume(name) else { return Ok(()) };
                match self.store.remove_volume(name, true) {
                    Ok(()) => self.volume_event(name, &volume.driver, "destroy"),
                    // A plugin that is away does not keep the container.
                    Err(error) if volume.driver != "local" => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(volume = name, driver = volume.driver, error, "not removed with its container");
                    }
                    Err(error) => return Err(error.into()),
                }
                Ok(())
            }
            Err(error) => {
                tracing::debug!(volume = name, error = &error as &dyn std::error::Error, "kept");
                Ok(())
            }
        }
    }
}
