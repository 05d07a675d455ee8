//! What registries say, and manifests.

use api::registry::{
    Descriptor, Distribution, ManifestImage, ManifestSize, ManifestSummary, Platform, SearchItem, UnpackedSize,
};
use engine::DescribedManifest;
use engine::model::image::{Found, Image, ImageManifest, RemoteImage};

/// Encodes `GET /distribution/{name}/json`, with the document itself when asked for.
#[must_use]
pub fn distribution(image: RemoteImage, whole: bool) -> Distribution {
    let document = whole.then(|| String::from_utf8(image.document.clone()).ok()).flatten();
    let platforms = image.platforms.into_iter().map(|platform| Platform {
        architecture: platform.architecture,
        os: platform.os,
        variant: platform.variant.unwrap_or_default(),
    });
    Distribution {
        platforms: platforms.collect(),
        manifest: document.and_then(|text| serde_json::value::RawValue::from_string(text).ok()),
        descriptor: Descriptor {
            media_type: image.media_type,
            digest: image.digest.to_string(),
            size: number(image.document.len() as u64),
        },
    }
}

/// Encodes an entry of `GET /images/search`.
#[must_use]
pub fn found(found: Found) -> SearchItem {
    SearchItem {
        star_count: found.star_count,
        is_official: found.is_official,
        name: found.name,
        is_automated: found.is_automated,
        description: found.description,
    }
}

/// Encodes the one manifest that an image of this engine has.
#[must_use]
pub fn manifest_summary(image: &Image, described: &DescribedManifest) -> ManifestSummary {
    let DescribedManifest { manifest, containers } = described;
    let document = manifest.bytes.len() as u64;
    let content = document + image.raw.len() as u64 + manifest.layers.iter().map(|layer| layer.size).sum::<u64>();
    ManifestSummary {
        id: manifest.digest.to_string(),
        descriptor: Descriptor {
            media_type: ImageManifest::MEDIA_TYPE.to_owned(),
            digest: manifest.digest.to_string(),
            size: number(document),
        },
        available: true,
        size: ManifestSize { content: number(content), total: number(content + image.size) },
        kind: "image".to_owned(),
        image_data: Some(ManifestImage {
            platform: Platform {
                architecture: image.config.architecture.clone(),
                os: image.config.os.clone(),
                variant: image.config.variant.clone().unwrap_or_default(),
            },
            containers: containers.clone(),
            size: UnpackedSize { unpacked: number(image.size) },
        }),
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
