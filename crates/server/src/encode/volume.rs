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
        status: None,
        usage_data: None,
    }
}

/// Encodes a volume of any driver with what its driver says.
#[must_use]
pub fn volume_details(details: &engine::model::image::VolumeDetails) -> Volume {
    let scope = details.scope.as_str().to_owned();
    Volume { scope, status: details.status.clone(), ..volume(&details.volume) }
}
