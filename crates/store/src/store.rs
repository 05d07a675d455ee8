//! [`Store`]: opening the data root, and what it answers about images.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use plugin::Directories;
use types::{Digest, Platform, Reference};

use crate::driver::{self, Driver};
use crate::durable::Flusher;
use crate::init_layer::InitLayers;
use crate::partial::Taken;
use crate::paths::{Paths, TREE};
use crate::quota::Quotas;
use crate::state::Inner;
use crate::sweep::Sweeper;
use crate::volume_mount::VolumeUsers;
use crate::volume_plugin::PluginVolumes;
use crate::{ChainId, ContainerConfig, DiffId, Error, ImageId, Result, records, volume};

/// Where the store lives and how it keeps layers.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The data root, for example `/var/lib/gantry`; made when missing.
    pub data_root: PathBuf,
    /// The storage driver.
    pub driver: DriverChoice,
}

/// Which storage driver to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// What the data root was used with before; else overlay2 where it can be mounted; else vfs.
    #[default]
    Auto,
    /// Overlay mounts.
    Overlay2,
    /// Whole copies.
    Vfs,
}

/// The store. Clones share one state; every method may be called from any thread.
#[derive(Clone, Debug)]
pub struct Store(pub(crate) Arc<Inner>);

/// A layer in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its identity on top of its parents.
    pub chain: ChainId,
    /// Its content.
    pub diff: DiffId,
    /// The layer below.
    pub parent: Option<ChainId>,
    /// Bytes unpacked.
    pub size: u64,
}

/// What the bytes of a layer must amount to; `None` accepts anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// Digest of the stream as given (compressed).
    pub blob: Option<Digest>,
    /// Digest of the tar inside.
    pub diff: Option<DiffId>,
}

/// A blob kept for a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Digest of the bytes as stored.
    pub digest: Digest,
    /// Bytes as stored.
    pub size: u64,
    /// OCI media type of the layer, for example `application/vnd.oci.image.layer.v1.tar+gzip`.
    pub media_type: String,
    /// Where the file is.
    pub path: PathBuf,
}

/// Progress of `load`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadEvent {
    /// Unpacking a layer.
    Layer {
        /// Its content.
        diff: DiffId,
        /// Bytes read of its blob.
        current: u64,
        /// Bytes of its blob.
        total: u64,
    },
    /// Another image loses this name to one that was loaded.
    Renamed {
        /// The name.
        reference: Reference,
        /// The image that had it.
        old: ImageId,
    },
    /// An image is there.
    Loaded(Loaded),
}

/// An image that `load` brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The image.
    pub id: ImageId,
    /// The name it got; one value an image and name.
    pub reference: Option<Reference>,
}

/// How to `import` a root file system.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The name it gets.
    pub reference: Option<Reference>,
    /// Container defaults, changes applied.
    pub config: ContainerConfig,
    /// Commit message; empty is Docker's `Imported from -`.
    pub message: String,
    /// The machine it is for; `None` is this one.
    pub platform: Option<Platform>,
}

impl Store {
    /// Opens the data root, making what is missing and removing what a crash left.
    ///
    /// # Errors
    /// The file system's refusal, [`crate::Error::OverlayUnavailable`], or a record that does not parse.
    pub fn open(config: StoreConfig) -> Result<Self> {
        let root = &config.data_root;
        driver::make_directory_all(root, 0o711)?;
        for (name, mode) in TREE {
            driver::make_directory_all(&root.join(name), *mode)?;
        }
        let driver = Driver::choose(root, config.driver)?;
        let paths = Paths::new(root, driver.name());
        driver::prepare(driver, &paths)?;
        driver::backing_device(root, &paths.volumes())?;
        driver::make_directory_all(paths.image_root(), 0o700)?;
        for directory in paths.record_directories() {
            fs::create_dir_all(&directory).map_err(|source| Error::io("mkdir", &directory, source))?;
        }
        let flusher = Flusher::open(&paths)?;
        let state = records::read(&paths, driver)?;
        if !paths.repositories().exists() {
            state.names.write(&paths.repositories())?;
        }
        let sweeper = Sweeper::open(&paths.removed())?;
        records::clear_leftovers(&paths, driver, &sweeper, &state);
        let volumes = Mutex::new(volume::read_all(&paths));
        let backing = backing_file_system(root);
        let volume_users = VolumeUsers::default();
        let quotas = Quotas::new(root);
        let plugin_volumes = PluginVolumes::open(paths.plugin_volumes(), Directories::default());
        let state = Mutex::new(state);
        let (init_layers, partials) = (InitLayers::default(), Taken::default());
        let unfinished = crate::unfinished::Unfinished::default();
        let store = Self(Arc::new(Inner {
            paths,
            driver,
            backing,
            state,
            volumes,
            volume_users,
            plugin_volumes,
            quotas,
            sweeper,
            flusher,
            unfinished,
            init_layers,
            partials,
        }));
        store.sweep_partials();
        store.collect_unused();
        Ok(store)
    }

    /// `overlay2` or `vfs`.
    #[must_use]
    pub fn driver_name(&self) -> &'static str {
        self.0.driver.name()
    }

    /// The `DriverStatus` pairs of `docker info`.
    #[must_use]
    pub fn driver_status(&self) -> Vec<(String, String)> {
        let pairs: &[(&str, &str)] = match self.0.driver {
            Driver::Overlay2 => &[
                ("Backing Filesystem", &self.0.backing),
                ("Supports d_type", "true"),
                ("Using metacopy", "false"),
                ("Native Overlay Diff", "true"),
                ("userxattr", "false"),
            ],
            Driver::Vfs => &[],
        };
        let mut pairs: Vec<_> = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        if self.0.quotas.missing().is_none() {
            pairs.push(("Project Quotas".to_owned(), "true".to_owned()));
        }
        pairs
    }

    /// Layers that an interrupted transfer left complete but unused.
    fn collect_unused(&self) {
        let unused: Vec<ChainId> = {
            let state = self.0.state();
            let mut unused: Vec<_> =
                state.layers.values().filter(|entry| state.is_unused(&entry.layer.chain)).collect();
            unused.sort_by_key(|entry| std::cmp::Reverse(entry.depth));
            unused.iter().map(|entry| entry.layer.chain).collect()
        };
        unused.into_iter().for_each(|chain| drop(self.collect(chain)));
    }
}

impl FromStr for DriverChoice {
    type Err = Error;

    /// The value of `--storage-driver`; empty chooses by itself.
    fn from_str(name: &str) -> Result<Self> {
        match name {
            "" => Ok(Self::Auto),
            "overlay2" => Ok(Self::Overlay2),
            "vfs" => Ok(Self::Vfs),
            _ => Err(Error::UnknownDriver(name.to_owned())),
        }
    }
}

/// The name that `docker info` gives to the file system of a directory.
pub(crate) fn backing_file_system(path: &Path) -> String {
    let Ok(stat) = rustix::fs::statfs(path) else { return "<unknown>".to_owned() };
    match stat.f_type {
        0xEF53 => "extfs",
        0x5846_5342 => "xfs",
        0x9123_683E => "btrfs",
        0x0102_1994 => "tmpfs",
        0x794C_7630 => "overlayfs",
        0x2FC1_2FC1 => "zfs",
        0xF2F5_2010 => "f2fs",
        0x6969 => "nfs",
        _ => "<unknown>",
    }
    .to_owned()
}
