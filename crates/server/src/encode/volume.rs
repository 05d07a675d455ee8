//! Volumes.

use api::volume::Volume;

use super::or_null;

/// Encodes a volume. Labels and options that were never given are `null`.
#[must_use]
pub fn volume(volume: &engine::model::image::Volume) -> Volume {
    Volume {
        created_at: volume.created_at.clone(),
        driver: volume.driver.clone(),
        labels: or_null(volume.labels.clone()),
        mountpoint: volume.mountpoint.to_string_lossy().into_owned(),
        name: volume.name.clone(),
        options: or_null(volume.options.clone()),
        scope: "local".to_owned(),
        usage_data: None,
    }
}
