//! `docker tag` and `docker rmi`.

use std::sync::Arc;

use store::{RemoveImage, Removed};
use types::{Platform, Reference};

use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// Gives an image a further name.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn image_tag(self: &Arc<Self>, name: &str, reference: &Reference) -> Result<(), Error> {
        let (engine, name, reference) = (Arc::clone(self), name.to_owned(), reference.clone());
        self.blocking(move || {
            let image = engine.find_image(&name)?;
            let reference = reference.with_default_tag();
            engine.store.tag(&image.id, &reference)?;
            engine.image_event("tag", &image.id.to_string(), &reference.familiar(), Some(&image));
            Ok(())
        })
        .await
    }

    /// Removes a name, and the image with its last name.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` when containers or other names hold it.
    pub async fn image_remove(
        self: &Arc<Self>,
        name: &str,
        force: bool,
        noprune: bool,
        platforms: Vec<Platform>,
    ) -> Result<Vec<Removed>, Error> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        self.blocking(move || {
            // Every image here is for one machine: its name goes, or nothing does.
            for platform in &platforms {
                engine.find_image_for(&name, Some(platform))?;
            }
            let options = RemoveImage { force, prune_children: !noprune, nameless: false, only: None };
            engine.remove_image(&name, options)
        })
        .await
    }

    /// As [`Self::image_remove`], on a thread that may wait.
    pub(crate) fn remove_image(&self, name: &str, options: RemoveImage<'_>) -> Result<Vec<Removed>, Error> {
        let id = self.store.resolve(name)?.to_string();
        let removed = self.store.remove(name, options, &|image| self.users_of(image))?;
        for step in &removed {
            match step {
                Removed::Untagged(_) => self.image_event("untag", &id, &id, None),
                // Layers are told about too; only the image itself is an event.
                Removed::Deleted(digest) if digest.to_string() == id => self.image_event("delete", &id, &id, None),
                Removed::Deleted(_) => {}
            }
        }
        Ok(removed)
    }
}
