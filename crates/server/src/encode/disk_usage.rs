//! What takes space.

use api::ApiVersion;
use api::volume::{UsageData, Volume};
use engine::VolumeUsage;
use jiff::Timestamp;

/// Encodes `GET /system/df`; `build_cache` tells whether that was asked for, and there is never any.
#[must_use]
pub fn disk_usage(
    usage: &engine::DiskUsage,
    build_cache: bool,
    version: ApiVersion,
    now: Timestamp,
) -> api::disk_usage::DiskUsage {
    let images = usage.images.as_ref().map(|images| {
        let encode = |listed: &engine::ListedImage| api::image::Summary {
            // Told here in every version.
            containers: i64::try_from(listed.containers).unwrap_or(i64::MAX),
            ..super::image_summary(listed, version)
        };
        images.iter().map(encode).collect()
    });
    let containers = usage.containers.as_ref();
    api::disk_usage::DiskUsage {
        layers_size: i64::try_from(usage.layers_size).unwrap_or(i64::MAX),
        images,
        containers: containers.map(|list| list.iter().map(|one| super::summary(one, version, now)).collect()),
        volumes: usage.volumes.as_ref().map(|volumes| volumes.iter().map(volume).collect()),
        build_cache: build_cache.then(Vec::new),
        builder_size: (version < ApiVersion(42)).then_some(0),
    }
}

fn volume(usage: &VolumeUsage) -> Volume {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let data = UsageData { ref_count: count(usage.references as u64), size: usage.size.map_or(-1, count) };
    Volume { usage_data: Some(data), ..super::volume(&usage.volume) }
}
