//! The manifest of an image that is pushed.

use serde::Serialize;
use store::{Image, KnownBlob};
use types::Digest;

use crate::manifest::{OCI_GZIP, OCI_ZSTD};

const SCHEMA2: &str = "application/vnd.docker.distribution.manifest.v2+json";
const SCHEMA2_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const SCHEMA2_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A reference to content, in the member order of Docker's manifests.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    size: u64,
    digest: Digest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// Docker's form when it can say everything; it knows no zstd.
pub(crate) fn manifest(image: &Image, blobs: &[KnownBlob]) -> (&'static str, Vec<u8>) {
    let oci = blobs.iter().any(|blob| blob.media_type.ends_with("zstd"));
    let layer_type = |blob: &KnownBlob| match (oci, blob.media_type.ends_with("zstd")) {
        (false, _) => SCHEMA2_LAYER,
        (true, false) => OCI_GZIP,
        (true, true) => OCI_ZSTD,
    };
    let layers =
        blobs.iter().map(|blob| Descriptor { media_type: layer_type(blob), size: blob.size, digest: blob.digest });
    let media_type = if oci { OCI } else { SCHEMA2 };
    let manifest = Manifest {
        schema_version: 2,
        media_type,
        config: Descriptor {
            media_type: if oci { OCI_CONFIG } else { SCHEMA2_CONFIG },
            size: image.raw.len() as u64,
            digest: image.id.0,
        },
        layers: layers.collect(),
    };
    let mut bytes = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"   ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, format);
    // Texts and numbers always encode.
    let _ = manifest.serialize(&mut serializer);
    (media_type, bytes)
}
