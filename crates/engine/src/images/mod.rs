//! Images, as clients ask for them: the store's work with the engine's knowledge of containers, and events.

mod changes;
mod commit;
mod diff;
mod inspect;
mod list;
mod pull;
mod push;
mod registries;
mod remove;
mod shared;
mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use store::{ContainerUse, Image, ImageId};
use types::Platform;

use crate::engine::Engine;
use crate::model::{Event, EventKind};

pub use changes::apply_changes;
pub use commit::Commit;
pub use diff::{ConfigDifference, ImageComparison};
pub use inspect::{DescribedManifest, HistoryEntry, ImageDetails};
pub use list::{ImageQuery, ListedImage};
pub(crate) use shared::Pulls;
pub(crate) use transport::ChannelWriter;
pub use transport::{ChannelReader, SaveImages};

/// One step of a pull, a push, a load or an import.
#[derive(Clone, Debug)]
pub enum ImageProgress {
    /// Of a pull.
    Pull(transfer::Progress),
    /// A push begins, to the repository of this full name.
    PushingTo(String),
    /// Of a push.
    Push(transfer::PushProgress),
    /// An import begins to read from this address.
    ImportingFrom(String),
    /// Of an import from an address: bytes so far, and in all where that is known.
    Importing(u64, Option<u64>),
    /// Of a load.
    Load(store::LoadEvent),
    /// An import is done.
    Imported(ImageId),
}

impl Engine {
    /// Tells that something happened to an image.
    pub(crate) fn image_event(&self, action: &str, actor: &str, name: &str, image: Option<&Image>) {
        let labels = image.map(|image| &image.config.config.labels);
        let mut attributes: BTreeMap<String, String> =
            labels.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        attributes.insert("name".to_owned(), name.to_owned());
        self.events.publish(Event {
            kind: EventKind::Image,
            action: action.to_owned(),
            actor: actor.to_owned(),
            attributes,
            at: Timestamp::now(),
        });
    }

    /// The containers that use an image.
    pub(crate) fn users_of(&self, image: &ImageId) -> Vec<ContainerUse> {
        let containers = self.containers.snapshot();
        let mounts = |spec: &crate::model::ContainerSpec| {
            spec.mounts.iter().filter_map(|point| point.image).any(|mounted| mounted.id == image.0)
        };
        let users =
            containers.iter().filter(|container| container.spec.image == Some(image.0) || mounts(&container.spec));
        users
            .map(|container| ContainerUse {
                id: container.spec.id.clone(),
                running: container.status().state.is_running(),
                image: container.spec.config.image.clone(),
            })
            .collect()
    }

    /// Looks an image up by name or id, and checks that it is for that machine.
    pub(crate) fn find_image_for(&self, name: &str, platform: Option<&Platform>) -> Result<Arc<Image>, store::Error> {
        let image = self.find_image(name)?;
        match platform {
            Some(platform) if !image.config.is_for(platform) => {
                let actual = image.config.platform().to_string();
                Err(store::Error::OtherPlatform { image: name.to_owned(), actual, platform: platform.to_string() })
            }
            _ => Ok(image),
        }
    }

    /// Looks an image up by name or id.
    pub(crate) fn find_image(&self, name: &str) -> Result<Arc<Image>, store::Error> {
        self.store.image(&self.store.resolve(name)?)
    }
}
