//! `/auth`, `/distribution`, `/images/search`: what only a registry knows.

use serde_json::value::RawValue;

use crate::wire::is_default;

wire! {
    /// The answer to `POST /auth`.
    pub struct Authenticated {
        pub identity_token: String,
        pub status: String,
    }

    /// `OCIDescriptor`.
    pub struct Descriptor {
        #[serde(rename = "mediaType")]
        pub media_type: String,
        #[serde(rename = "digest")]
        pub digest: String,
        #[serde(rename = "size")]
        pub size: i64,
    }

    /// `OCIPlatform`.
    pub struct Platform {
        #[serde(rename = "architecture")]
        pub architecture: String,
        #[serde(rename = "os")]
        pub os: String,
        #[serde(rename = "variant", skip_serializing_if = "is_default")]
        pub variant: String,
    }

    /// An entry of `GET /images/search`.
    pub struct SearchItem {
        #[serde(rename = "star_count")]
        pub star_count: i64,
        #[serde(rename = "is_official")]
        pub is_official: bool,
        #[serde(rename = "name")]
        pub name: String,
        #[serde(rename = "is_automated")]
        pub is_automated: bool,
        #[serde(rename = "description")]
        pub description: String,
    }

    /// `ImageManifestSummary`.
    pub struct ManifestSummary {
        #[serde(rename = "ID")]
        pub id: String,
        pub descriptor: Descriptor,
        pub available: bool,
        pub size: ManifestSize,
        pub kind: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_data: Option<ManifestImage>,
    }

    /// `Size` of a manifest.
    pub struct ManifestSize {
        pub content: i64,
        pub total: i64,
    }

    /// `ImageData` of a manifest.
    pub struct ManifestImage {
        pub platform: Platform,
        pub containers: Vec<String>,
        pub size: UnpackedSize,
    }

    /// `Size` of an image.
    pub struct UnpackedSize {
        pub unpacked: i64,
    }
}

/// `DistributionInspect`.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the API reference describes the fields")]
pub struct Distribution {
    pub descriptor: Descriptor,
    pub platforms: Vec<Platform>,
    /// The document itself, when asked for; not Docker's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Box<RawValue>>,
}
