//! The engine's model becomes Docker's JSON, in the shape of the version asked for.

mod beyond;
mod build;
mod config;
mod container;
mod disk_usage;
mod event;
mod fsck;
mod host;
mod host_network;
mod image;
mod network;
mod path_stat;
mod progress;
mod registry;
mod removals;
mod stats;
mod status;
mod summary;
mod system;
mod time;
mod volume;

pub use beyond::image_difference;
pub use build::{build_event, build_failed, built_quietly};
pub use container::{details, exec};
pub use disk_usage::disk_usage;
pub use event::event;
pub use fsck::{fsck, usage, why};
pub use host_network::{firewall_explain, network_repair};
pub use image::{history, image_details, image_summary, removed};
pub use network::network;
pub use path_stat::path_stat;
pub use progress::{error_line, progress_line};
pub use registry::{distribution, found};
pub use removals::removals;
pub use stats::stats;
pub use summary::summary;
pub use system::{info, version};
pub use volume::{volume, volume_details};

/// `null` for nothing, as Go writes a slice or map that was never made.
fn or_null<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

#[cfg(test)]
mod tests;
