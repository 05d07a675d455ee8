//! The store: image blobs, layers, images and their names, container layers, volumes.
//!
//! Synchronous. Everything a caller needs is behind [`Store`], which is cheap to clone and synchronises
//! itself. Layers are handed out as mounts in the form of data ([`Rootfs`]); all that this room mounts on the
//! host is what backs a volume with driver options. The tree on disk is drawn in `paths.rs`.

pub mod assemble;
mod blobs;
mod changes;
mod commit;
mod config;
mod container;
mod copy;
mod copy_content;
mod driver;
mod durable;
mod error;
mod export;
pub mod files;
mod fsck;
#[doc(hidden)]
pub mod fuzzing;
mod hello_world;
mod ids;
mod image;
mod image_diff;
mod image_mount;
mod images;
mod import;
mod ingest;
mod init_layer;
mod layers;
mod lease;
mod load;
mod manifest;
mod names;
mod pack;
mod pack_sparse;
mod partial;
mod paths;
mod quota;
mod records;
mod rehearsal;
mod remove;
mod remove_tree;
mod save;
mod scratch;
mod shift;
mod state;
mod store;
mod stream;
mod subpath;
mod sweep;
mod unfinished;
mod unpack;
mod usage;
mod view;
mod volume;
mod volume_backup;
mod volume_description;
mod volume_draft;
mod volume_mount;
mod volume_plugin;
mod volume_rename;
mod whose;

pub use blobs::KnownBlob;
pub use changes::{Change, ChangeKind};
pub use commit::ChildImage;
pub use config::{ContainerConfig, Healthcheck, History, ImageConfig, RootFs};
pub use container::{GraphDriverData, Rootfs};
pub use error::{ArchiveProblem, Error};
pub use fsck::{FsckOptions, Problem, ProblemKind, Report, fsck_offline};
pub use ids::{ChainId, DiffId, ImageId};
pub use image::{ContainerUse, Image, ImageSummary, RemoveImage, Removed};
pub use image_diff::{Aspect, FileDifference, ImageDiff, LayerShare};
pub use ingest::LooseLayer;
pub use lease::Lease;
pub use manifest::ImageManifest;
pub use partial::Partial;
pub use records::chain_ids;
pub use rehearsal::Rehearsal;
pub use save::SaveOptions;
pub use scratch::Scratch;
pub use shift::Shift;
pub use store::{BlobInfo, DriverChoice, Expected, ImportOptions, Layer, LoadEvent, Loaded, Store, StoreConfig};
pub use usage::{USAGE_KINDS, Usage, UsageKind, allocated};
pub use view::{Access, ViewMount, ViewSource};
pub use volume::{Volume, VolumeRequest, random_volume_name};
pub use volume_draft::VolumeDraft;
pub use volume_plugin::{ListedVolumes, MadeVolume, VolumeDetails, VolumeScope};
pub use whose::Owner;

/// The result of every operation of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;
