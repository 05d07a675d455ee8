//! Volumes, as clients ask for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::{Volume, VolumeRequest};

use crate::engine::Engine;
use crate::error::Error;
use crate::filters::{Filters, InvalidFilter};

const KEYS: [&str; 4] = ["dangling", "driver", "label", "name"];

impl Engine {
    /// Lists volumes, sorted by name.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn volume_list(self: &Arc<Self>, filters: Filters) -> Result<Vec<Volume>, Error> {
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
            let mut volumes = engine.store.volumes();
            volumes.retain(|volume| {
                let label = |key: &str| volume.labels.get(key).map(String::as_str);
                dangling.is_none_or(|dangling| dangling != used.contains_key(&volume.name))
                    && crate::filters::any(&names, |name| name.is_match(&volume.name))
                    && crate::filters::any(&drivers, |driver| *driver == volume.driver)
                    && crate::filters::labels_match(&labels, label)
            });
            Ok(volumes)
        })
        .await
    }

    /// Creates a volume, or returns the one of that name. An empty name draws a random one.
    ///
    /// # Errors
    /// `InvalidParameter` for a bad name, driver or option.
    pub async fn volume_create(
        self: &Arc<Self>,
        name: &str,
        driver: &str,
        options: BTreeMap<String, String>,
        labels: BTreeMap<String, String>,
    ) -> Result<Volume, Error> {
        let anonymous = name.is_empty();
        let name = if anonymous { store::random_volume_name() } else { name.to_owned() };
        let request = VolumeRequest { name, anonymous, driver: driver.to_owned(), labels, options };
        let engine = Arc::clone(self);
        self.blocking(move || {
            let existed = engine.store.volume(&request.name).is_ok();
            let volume = engine.store.create_volume(request)?;
            if !existed {
                engine.volume_event(&volume.name, "create");
            }
            Ok(volume)
        })
        .await
    }

    /// Describes one volume.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume, Error> {
        Ok(self.store.volume(name)?)
    }

    /// Removes a volume and what is in it.
    ///
    /// # Errors
    /// `NotFound` unless `force`, `Conflict` while containers mount it.
    pub async fn volume_remove(self: &Arc<Self>, name: &str, force: bool) -> Result<(), Error> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        self.blocking(move || engine.remove_volume(&name, force)).await
    }

    /// As [`Self::volume_remove`], on a thread that may wait.
    pub(crate) fn remove_volume(&self, name: &str, force: bool) -> Result<(), Error> {
        // What is not there is told before who refers to it.
        if !force {
            self.store.volume(name)?;
        }
        let _closed = self.volume_references.close(name)?;
        self.store.remove_volume(name, force)?;
        self.volume_event(name, "destroy");
        Ok(())
    }

    /// Removes a volume behind its last container; what others refer to stays.
    pub(crate) fn remove_unreferenced(&self, name: &str) -> Result<(), Error> {
        match self.volume_references.close(name) {
            Ok(_closed) => {
                self.store.remove_volume(name, true)?;
                self.volume_event(name, "destroy");
                Ok(())
            }
            Err(error) => {
                tracing::debug!(volume = name, error = &error as &dyn std::error::Error, "kept");
                Ok(())
            }
        }
    }
}
