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
}
