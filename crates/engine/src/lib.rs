//! The engine decides: containers as actors, composed from the rooms below.
//!
//! [`Engine`] is the door. `create` and `start` plan and carry out; `container` is the actor that owns a
//! container's state; `recover` finds again what an earlier daemon left.

mod archive;
mod attach;
mod attachments;
mod build;
mod cdi;
mod config;
mod container;
mod create;
mod disk_usage;
mod ending;
mod engine;
mod error;
mod events;
mod exec;
mod export;
mod filters;
mod fsck;
mod gc;
mod health;
mod host_network;
mod id_mapping;
mod images;
mod lifecycle;
mod limits;
mod links;
mod log;
pub mod model;
mod monitors;
mod name_files;
mod names;
mod networks;
mod notify;
mod paths;
mod processes;
mod prune;
mod query;
mod random;
mod records;
mod recover;
mod registry;
mod reload;
mod resolver;
mod stale_binds;
mod start;
mod stats;
mod system;
mod undo;
mod update;
mod volume_archive;
mod volume_copy;
mod volume_references;
mod volume_rename;
mod volume_still;
mod volumes;
mod why;

pub use ::build::solve::{
    Event as StepEvent, Failure as BuildFailure, Options as BuildOptions, Stream as OutputStream,
};
pub use ::network::{Explanation, Finding, Question};
pub use ::store::{FsckOptions, ProblemKind, Report as FsckReport, Usage, UsageKind};
pub use archive::{Archive, PutArchive};
pub use attach::{AttachRequest, LogQuery, LogStream};
pub use build::{BuildContext, BuildEvent, BuildRequest, BuildSteps};
pub use config::{ContainerDefaults, EngineConfig, GcConfig, LiveConfig, Proxies, Remap};
pub use container::Relay;
pub use create::Created;
pub use disk_usage::{DiskUsage, DiskUsageQuery, VolumeUsage};
pub use engine::Engine;
pub use error::{Error, Invalid, StateConflict};
pub use events::{Bus, Subscription};
pub use exec::{AttachStream, ExecStart};
pub use filters::{EventFilter, Filters, InvalidFilter};
pub use fsck::fsck_offline;
pub use gc::{GcStatus, is_gc_pattern};
pub use images::{
    ChannelReader, Commit, ConfigDifference, DescribedManifest, HistoryEntry, ImageComparison, ImageDetails,
    ImageProgress, ImageQuery, ListedImage, SaveImages, apply_changes,
};
pub use lifecycle::{RemoveContainer, StopOptions, WaitCondition};
pub use log::{DRIVERS as LOG_DRIVERS, check_defaults as check_log_defaults};
pub use networks::NetworkMember;
pub use prune::{Kept, PruneRequest, Pruned, RemovalRequest, Removals, Thing, ThingKind};
pub use query::ListContainers;
pub use runtime::cgroup::BlkioEntry;
pub use stats::{ContainerStats, InterfaceStats, Sample, StatsReader};
pub use system::{CgroupFeatures, ContainerCounts, Machine, SystemInfo, VersionInfo};
pub use volume_archive::RestoredVolume;
pub use why::Why;
