//! `gantry volume rename`.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::{Usage, Volume};

use crate::engine::Engine;
use crate::error::Error;
use crate::model::EventKind;

impl Engine {
    /// Gives a volume that no container refers to another name.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` when containers refer to it or the name is taken, `InvalidParameter` for a bad name.
    pub async fn volume_rename(self: &Arc<Self>, old: &str, new: &str) -> Result<Volume, Error> {
        let (engine, old, new) = (Arc::clone(self), old.to_owned(), new.to_owned());
        self.blocking(move || {
            engine.store.volume(&old)?;
            engine.store.check_new_volume(&new)?;
            let closed = engine.volume_references.close_to_others(&old, "rename")?;
            let name = |id: &types::ContainerId| match engine.containers.by_id(id) {
                Some(container) => container.name(),
                // It is being created.
                None => id.to_string(),
            };
            engine.refuse_users("rename", &old, closed.containers.iter().map(name).collect())?;
            let volume = engine.store.rename_volume(&old, &new)?;
            let attributes = [("driver", volume.driver.clone()), ("oldName", old)];
            let attributes: BTreeMap<_, _> = attributes.map(|(key, value)| (key.to_owned(), value)).into();
            engine.publish(EventKind::Volume, "rename", &new, attributes);
            Ok(volume)
        })
        .await
    }

    /// What volumes take on the disk: all of them, or those of the names.
    ///
    /// # Errors
    /// `NotFound`, or what backs a volume cannot be mounted; of all of them, such a volume is left out and logged.
    pub async fn volume_sizes(self: &Arc<Self>, names: Vec<String>) -> Result<Vec<(Volume, Usage)>, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || {
            let size = |volume: Volume| engine.store.volume_usage(&volume.name).map(|usage| (volume, usage));
            if !names.is_empty() {
                return Ok(names.iter().map(|name| size(engine.store.volume(name)?)).collect::<Result<_, _>>()?);
            }
            let known = engine.store.volumes().into_iter().filter_map(|volume| {
                let name = volume.name.clone();
                size(volume)
                    .inspect_err(|error| {
                        let error = error as &dyn std::error::Error;
                        tracing::warn!(volume = name, error, "its size is not known");
                    })
                    .ok()
            });
            Ok(known.collect())
        })
        .await
    }
}
