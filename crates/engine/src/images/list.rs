//! `docker images`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use store::{ChainId, Image, ImageId, ImageSummary};
use types::Digest;

use super::inspect::DescribedManifest;
use crate::engine::Engine;
use crate::error::Error;
use crate::filters::{Filters, ImageCandidate, ImageFilter};

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct ImageQuery {
    /// Also images that only exist as parents of others.
    pub all: bool,
    /// Compute how much each image shares with others.
    pub shared_size: bool,
    /// Describe each image's manifest.
    pub manifests: bool,
    /// Filters.
    pub filters: Filters,
}

/// One line of `docker images`, before a line is made of each name.
#[derive(Clone, Debug)]
pub struct ListedImage {
    /// The image.
    pub image: Arc<Image>,
    /// Its tagged names that pass the filters.
    pub tags: Vec<String>,
    /// Its digests that pass the filters.
    pub digests: Vec<String>,
    /// How many containers use it.
    pub containers: usize,
    /// Bytes in layers that other images use too, when asked for.
    pub shared_size: Option<u64>,
    /// The manifest that describes it, when asked for.
    pub manifest: Option<DescribedManifest>,
}

impl Engine {
    /// Lists images, newest first.
    ///
    /// # Errors
    /// For a filter that means nothing or names an image that does not exist.
    pub async fn image_list(self: &Arc<Self>, query: ImageQuery) -> Result<Vec<ListedImage>, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || engine.list_images(&query)).await
    }

    fn list_images(&self, query: &ImageQuery) -> Result<Vec<ListedImage>, Error> {
        let created = |name: &str| -> Result<Timestamp, Error> {
            let image = self.find_image(name)?;
            Ok(created(&image).unwrap_or(Timestamp::UNIX_EPOCH))
        };
        let filter = ImageFilter::parse(&query.filters, Timestamp::now(), created)?;
        let images = self.store.images();
        let parents: HashSet<ImageId> = images.iter().filter_map(|image| image.parent).collect();
        let users = self.image_users();
        let shares = query.shared_size.then(|| self.shared_sizes(&images));
        let listed = images.into_iter().filter_map(|image| {
            let named = !image.repo_tags.is_empty() || !image.repo_digests.is_empty();
            if !query.all && !named && parents.contains(&image.id) {
                return None;
            }
            let names: Vec<_> = image.repo_tags.iter().chain(&image.repo_digests).cloned().collect();
            let labels = &image.config.config.labels;
            let candidate = ImageCandidate { created: self::created(&image), labels, names: &names };
            if !filter.matches(candidate) {
                return None;
            }
            let shown = |names: &[types::Reference]| {
                names.iter().filter(|name| filter.shows(name)).map(types::Reference::familiar).collect()
            };
            Some(ListedImage {
                tags: shown(&image.repo_tags),
                digests: shown(&image.repo_digests),
                containers: users.get(&image.id).copied().unwrap_or(0),
                // An image that is being removed is listed without.
                manifest: query.manifests.then(|| self.describe_image(&image).ok()).flatten(),
                shared_size: shares.as_ref().map(|shares| shares.get(&image.id).copied().unwrap_or(0)),
                image,
            })
        });
        Ok(listed.collect())
    }

    /// How many containers use each image.
    pub(crate) fn image_users(&self) -> HashMap<ImageId, usize> {
        let mut users = HashMap::new();
        for container in self.containers.snapshot() {
            let mounted = container.spec.mounts.iter().filter_map(|point| point.image.map(|image| image.id));
            let used: BTreeSet<Digest> = container.spec.image.into_iter().chain(mounted).collect();
            used.into_iter().for_each(|image| *users.entry(ImageId(image)).or_default() += 1);
        }
        users
    }

    /// Bytes of each image in layers that other images have too.
    fn shared_sizes(&self, images: &[ImageSummary]) -> HashMap<ImageId, u64> {
        let mut uses: HashMap<ChainId, usize> = HashMap::new();
        images.iter().flat_map(|image| &image.chain).for_each(|chain| *uses.entry(*chain).or_default() += 1);
        let lease = self.store.lease();
        let size = |chain: &ChainId| self.store.layer(&lease, chain).map_or(0, |layer| layer.size);
        let shared = |chain: &&ChainId| uses.get(*chain).is_some_and(|count| *count > 1);
        images.iter().map(|image| (image.id, image.chain.iter().filter(shared).map(size).sum())).collect()
    }
}

/// When the image says it was made.
pub(super) fn created(image: &Image) -> Option<Timestamp> {
    image.config.created.as_deref().and_then(|text| text.parse().ok())
}
