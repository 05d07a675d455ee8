//! Answers to the `prune` operations.

use crate::image::DeleteItem;

wire! {
    /// `ContainerPruneResponse`.
    pub struct Containers {
        pub containers_deleted: Option<Vec<String>>,
        pub space_reclaimed: u64,
    }

    /// `ImagePruneResponse`.
    pub struct Images {
        pub images_deleted: Option<Vec<DeleteItem>>,
        pub space_reclaimed: u64,
    }

    /// `NetworkPruneResponse`.
    pub struct Networks {
        pub networks_deleted: Option<Vec<String>>,
    }

    /// `BuildPruneResponse`.
    pub struct BuildCache {
        pub caches_deleted: Option<Vec<String>>,
        pub space_reclaimed: u64,
    }

    /// `VolumePruneResponse`.
    pub struct Volumes {
        pub volumes_deleted: Vec<String>,
        pub space_reclaimed: u64,
    }

    /// Body of `POST /gantry/prune/plan` and `POST /gantry/prune`, operations of our own. Filters are Docker's JSON text;
    /// a kind that is `null` is left alone.
    pub struct Request {
        pub containers: Option<String>,
        pub networks: Option<String>,
        pub volumes: Option<String>,
        pub images: Option<String>,
        /// What the user has seen and agreed to; not of a plan.
        pub listed: Vec<Thing>,
    }

    /// Body of `POST /gantry/remove/plan`.
    pub struct RemovalRequest {
        /// `container`, `image`, `network` or `volume`.
        pub kind: String,
        pub names: Vec<String>,
        pub force: bool,
        /// Containers: their anonymous volumes too.
        pub volumes: bool,
        /// Images: parents without a name stay.
        pub keep_parents: bool,
    }

    /// What goes, would go, or is gone; and what stays although it was meant.
    pub struct Removals {
        pub things: Vec<Thing>,
        pub kept: Vec<Kept>,
        /// The steps of images' removal, as `ImagePruneResponse` has them; not of a plan.
        pub images_deleted: Vec<DeleteItem>,
        pub space_reclaimed: u64,
    }

    /// Something that can be removed.
    pub struct Thing {
        /// `container`, `image`, `network`, `volume` or `download`.
        pub kind: String,
        /// Of a volume its name.
        pub id: String,
        /// Of an image those that it loses.
        pub names: Vec<String>,
        /// `null` where that is not counted.
        pub bytes: Option<u64>,
    }

    /// Something that stays.
    pub struct Kept {
        pub kind: String,
        pub id: String,
        pub names: Vec<String>,
        pub reason: String,
        /// It is not there.
        pub missing: bool,
    }
}
