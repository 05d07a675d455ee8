//! One function an operation: decode, one call, encode.

pub(crate) mod archive;
pub(crate) mod attach;
pub(crate) mod beyond;
pub(crate) mod build;
pub(crate) mod commit;
pub(crate) mod containers;
pub(crate) mod disk_usage;
pub(crate) mod exec;
pub(crate) mod fsck;
pub(crate) mod host_network;
pub(crate) mod images;
pub(crate) mod networks;
pub(crate) mod plugins;
pub(crate) mod prune;
pub(crate) mod registry;
pub(crate) mod removals;
pub(crate) mod stats;
pub(crate) mod system;
pub(crate) mod volume_verbs;
pub(crate) mod volumes;
