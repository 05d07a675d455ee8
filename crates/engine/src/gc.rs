//! Garbage collection of images with a budget (`gc` in daemon.json): while images take more, downloads that broke and images
//! without a tag go, those first that nobody has used for longest. What a tag, a container, another image, work in progress
//! or the list `keep` holds stays, and so do all containers and volumes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use regex_lite::Regex;
use store::{ContainerUse, Image, ImageId, Rehearsal, RemoveImage, Removed};
use sys::scheduling::{SchedulerAttributes, set_io_priority, set_scheduler};
use tokio::sync::{Notify, oneshot};
use types::Digest;

use crate::config::GcConfig;
use crate::engine::Engine;
use crate::error::Error;
use crate::filters;

/// How long a removal may wait for a moment in which nobody starts or removes anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// `SCHED_BATCH` of sched(7).
const BATCH: u32 = 3;
/// The idle class of ioprio_set(2).
const IDLE: i32 = 3;

/// What the budget is and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcStatus {
    /// Bytes that images may take; `None` where nothing is collected.
    pub max_size: Option<u64>,
    /// Bytes that they take: layers unpacked, blobs, and downloads on their way.
    pub size: u64,
    /// Bytes that a collection could free.
    pub reclaimable: u64,
}

/// What goes, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Garbage {
    /// What images take now.
    size: u64,
    /// Of it, what goes.
    freed: u64,
    downloads: Vec<Digest>,
    /// With the bytes that each one frees.
    images: Vec<(ImageId, u64)>,
}

impl Garbage {
    /// What images take when it is gone.
    fn left(&self) -> u64 {
        self.size.saturating_sub(self.freed)
    }
}

/// What `keep` says.
enum Keep {
    /// Of its names, with or without digest, or of its id, with or without `sha256:`.
    Name(Regex),
    Label(String, Option<String>),
}

/// Looks at the budget from time to time, as long as the engine lives.
pub(crate) fn begin(engine: &Arc<Engine>) {
    let (weak, changed) = (Arc::downgrade(engine), Arc::clone(&engine.gc_changed));
    tokio::spawn(watch(weak, changed));
}

async fn watch(engine: Weak<Engine>, changed: Arc<Notify>) {
    loop {
        let Some(interval) = engine.upgrade().map(|engine| engine.live().gc.as_ref().map(|gc| gc.interval)) else {
            return;
        };
        let Some(interval) = interval else {
            changed.notified().await;
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = changed.notified() => continue,
        }
        let Some(engine) = engine.upgrade() else { return };
        let (done, ended) = oneshot::channel::<()>();
        // A thread of its own: its low priority is for good.
        let work = move || {
            step_back();
            engine.collect_garbage();
            drop((engine, done));
        };
        match std::thread::Builder::new().name("engine-gc".to_owned()).spawn(work) {
            // Its end is told by the channel's.
            Ok(_) => drop(ended.await),
            Err(error) => tracing::warn!(%error, "cannot start a thread to collect garbage"),
        }
    }
}

/// Whoever wants the processor or the disk comes first. A refusal costs the others a little, not the work.
fn step_back() {
    let batch = SchedulerAttributes { policy: BATCH, nice: 19, ..SchedulerAttributes::default() };
    if let Err(error) = set_scheduler(batch).and_then(|()| set_io_priority(IDLE, 0)) {
        tracing::debug!(%error, "garbage is collected at ordinary priority");
    }
}

/// Whether a text of `keep` means something.
#[must_use]
pub fn is_gc_pattern(text: &str) -> bool {
    !text.is_empty() && Keep::parse(text).is_some()
}

// === impl Engine ===

impl Engine {
    /// The budget for images, and what a collection could free.
    ///
    /// # Errors
    /// When the daemon is shutting down.
    pub async fn gc_status(self: &Arc<Self>) -> Result<GcStatus, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || {
            let live = engine.live();
            let keep = live.gc.as_ref().map(|gc| gc.keep.as_slice()).unwrap_or_default();
            let all = engine.plan_gc(0, keep);
            let max_size = live.gc.as_ref().map(|gc| gc.max_size);
            Ok(GcStatus { max_size, size: all.size, reclaimable: all.freed })
        })
        .await
    }

    /// Brings images back into their budget, as far as that is possible. Each removal waits for a quiet moment.
    fn collect_garbage(&self) {
        let live = self.live();
        let Some(GcConfig { max_size, keep, .. }) = &live.gc else { return };
        let plan = self.plan_gc(*max_size, keep);
        let mut freed = 0;
        for digest in &plan.downloads {
            self.store.quiet_moment(PATIENCE);
            let bytes = self.store.forget_partial(digest);
            if bytes > 0 {
                tracing::info!(blob = %digest, bytes, "collected a download that broke");
                freed += bytes;
            }
        }
        for (id, bytes) in &plan.images {
            self.store.quiet_moment(PATIENCE);
            if self.collect_image(id) {
                tracing::info!(image = %id, bytes, "collected an image without a tag");
                freed += bytes;
            }
        }
        if freed > 0 {
            self.prune_event(crate::model::EventKind::Image, freed);
        }
        let size = plan.left();
        if size > *max_size {
            tracing::debug!(size, max_size, "images take more than their budget; tags and containers hold the rest");
        }
    }

    /// Removes an image that still has no tag and no user; its parents stay for their own turn.
    fn collect_image(&self, id: &ImageId) -> bool {
        let Ok(image) = self.store.image(id) else { return false };
        if !image.repo_tags.is_empty() {
            return false;
        }
        let only = HashSet::from([*id]);
        let mut gone = false;
        for (name, nameless) in names(&image) {
            let options = RemoveImage { force: false, prune_children: false, nameless, only: Some(&only) };
            match self.remove_image(&name, options) {
                Ok(steps) => gone |= steps.contains(&Removed::Deleted(id.0)),
                // Somebody came in between.
                Err(error) => tracing::debug!(name, error = &error as &dyn std::error::Error, "not collected"),
            }
        }
        gone
    }

    /// What goes until images take no more than `budget`.
    fn plan_gc(&self, budget: u64, keep: &[String]) -> Garbage {
        let keep: Vec<Keep> = keep.iter().filter_map(|text| Keep::parse(text)).collect();
        let used: HashMap<ImageId, usize> = self.image_users();
        let stays = |image: &Image| used.contains_key(&image.id) || keep.iter().any(|keep| keep.holds(image));
        let users = |id: &ImageId| self.users_of(id);
        let mut garbage = Garbage { size: self.store.partials_size(), ..Garbage::default() };
        let rehearsal = self.store.rehearse();
        garbage.size += rehearsal.size();
        for (digest, bytes) in self.store.idle_partials() {
            if garbage.left() <= budget {
                return garbage;
            }
            garbage.freed += bytes;
            garbage.downloads.push(digest);
        }
        plan_images(garbage, rehearsal, budget, (&stays, &users, &|id| self.store.last_used(id)))
    }
}

type Rules<'a> =
    (&'a dyn Fn(&Image) -> bool, &'a dyn Fn(&ImageId) -> Vec<ContainerUse>, &'a dyn Fn(&ImageId) -> SystemTime);

/// The image that nobody has used for longest, of those that nothing holds, again and again: with an image goes what held its
/// parent.
fn plan_images(mut garbage: Garbage, mut rehearsal: Rehearsal, budget: u64, rules: Rules<'_>) -> Garbage {
    let (stays, users, last_used) = rules;
    let mut times: HashMap<ImageId, SystemTime> = HashMap::new();
    let mut refused: HashSet<ImageId> = HashSet::new();
    while garbage.left() > budget {
        let parents: HashSet<ImageId> = rehearsal.images().filter_map(|image| image.parent).collect();
        let free = rehearsal.images().filter(|image| {
            image.repo_tags.is_empty()
                && !parents.contains(&image.id)
                && !refused.contains(&image.id)
                && !rehearsal.is_leased(&image.id)
                && !stays(image)
        });
        let oldest =
            free.min_by_key(|image| (*times.entry(image.id).or_insert_with(|| last_used(&image.id)), image.id));
        let Some(image) = oldest.cloned() else { break };
        let before = rehearsal.freed();
        for (name, nameless) in names(&image) {
            let options = RemoveImage { force: false, prune_children: false, nameless, only: None };
            // A refusal leaves the image where it is.
            let _ = rehearsal.remove(&name, options, users);
        }
        if rehearsal.images().any(|left| left.id == image.id) {
            refused.insert(image.id);
            continue;
        }
        let bytes = rehearsal.freed() - before;
        garbage.freed += bytes;
        garbage.images.push((image.id, bytes));
    }
    garbage
}

/// By what an image without a tag is removed: names with digests, or its id when it has none.
fn names(image: &Image) -> Vec<(String, bool)> {
    if image.repo_digests.is_empty() {
        return vec![(image.id.hex(), true)];
    }
    image.repo_digests.iter().map(|name| (name.familiar(), false)).collect()
}

// === impl Keep ===

impl Keep {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("label=") {
            Some(label) => {
                let (key, value) = filters::label(label);
                Some(Self::Label(key, value))
            }
            None => filters::pattern(text).map(Self::Name),
        }
    }

    fn holds(&self, image: &Image) -> bool {
        match self {
            Self::Label(key, wanted) => {
                let value = image.config.config.labels.get(key);
                value.is_some_and(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
            }
            Self::Name(pattern) => {
                let mut names = image.repo_tags.iter().chain(&image.repo_digests);
                names.any(|name| pattern.is_match(&name.familiar()) || pattern.is_match(&name.familiar_name()))
                    || pattern.is_match(&image.id.to_string())
                    || pattern.is_match(&image.id.hex())
                    || pattern.is_match(&image.id.short())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use store::{DriverChoice, Store, StoreConfig};

    use super::*;

    /// Images of a chain and beside it, none with a layer: names, parents and times decide.
    fn store(directory: &Path) -> (Store, Vec<ImageId>) {
        let store = Store::open(StoreConfig { data_root: directory.join("data"), driver: DriverChoice::Vfs });
        let store = store.expect("open");
        let lease = store.lease();
        let mut ids: Vec<ImageId> = Vec::new();
        for (number, parent) in [(0, None), (1, Some(0)), (2, Some(1)), (3, None), (4, None)] {
            let config = format!(
                r#"{{"architecture":"amd64","os":"linux","author":"{number}","config":{{"Labels":{{"n":"{number}"}}}},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
            );
            let parent = parent.map(|parent: usize| ids[parent]);
            ids.push(store.put_image(&lease, config.as_bytes(), parent).expect("put"));
        }
        store.tag(&ids[3], &"tagged:1".parse().expect("name")).expect("tag");
        (store, ids)
    }

    #[test]
    fn the_least_recently_used_goes_first_and_what_is_held_stays() {
        let directory = tempfile::tempdir().expect("directory");
        let (store, ids) = store(directory.path());
        // The chain's end is older than its beginning, and 4 the oldest of all.
        let ages = [30, 20, 10, 0, 5];
        let at = |id: &ImageId| {
            let number = ids.iter().position(|other| other == id).unwrap_or_default();
            SystemTime::UNIX_EPOCH + Duration::from_secs(ages[number])
        };
        let plan = |stays: &dyn Fn(&Image) -> bool| {
            let garbage = Garbage { size: 1, ..Garbage::default() };
            let plan = plan_images(garbage, store.rehearse(), 0, (stays, &|_| Vec::new(), &at));
            let numbers = plan.images.iter().map(|(id, _)| ids.iter().position(|other| other == id));
            numbers.flatten().collect::<Vec<_>>()
        };
        assert_eq!(plan(&|_| false), [4, 2, 1, 0]);
        let label = Keep::parse("label=n=1").expect("keep");
        assert_eq!(plan(&|image| label.holds(image)), [4, 2], "what is below it is held too");
        let id = Keep::parse(&format!("{}*", ids[2].short())).expect("keep");
        assert_eq!(plan(&|image| id.holds(image)), [4]);
        let lease = store.lease();
        store.leased_image(&lease, &ids[4]).expect("there");
        assert_eq!(plan(&|_| false), [2, 1, 0]);
        assert!(
            plan_images(Garbage::default(), store.rehearse(), 0, (&|_| false, &|_| Vec::new(), &at)).images.is_empty()
        );
    }
}
