//! The manifest that describes an image as it is kept here, the same in every archive.

use serde_json::json;
use types::Digest;

use crate::stream::sha256;
use crate::{BlobInfo, Error, Image, Result, Store};

/// An OCI manifest of our own making.
#[derive(Clone, Debug)]
pub struct ImageManifest {
    /// Its digest.
    pub digest: Digest,
    /// The document.
    pub bytes: Vec<u8>,
    /// The blobs of the layers, bottom first.
    pub layers: Vec<BlobInfo>,
}

impl ImageManifest {
    /// Media type of the document.
    pub const MEDIA_TYPE: &'static str = "application/vnd.oci.image.manifest.v1+json";
}

impl Store {
    /// Describes an image by the blobs that are kept of it.
    ///
    /// # Errors
    /// [`Error::NoSuchLayer`] when a layer is gone.
    pub fn manifest(&self, image: &Image) -> Result<ImageManifest> {
        let blob = |diff| self.blob_of_diff(diff).ok_or_else(|| Error::NoSuchLayer(diff.to_string()));
        let layers: Vec<BlobInfo> = image.config.rootfs.diff_ids.iter().map(blob).collect::<Result<_>>()?;
        let descriptors: Vec<_> = layers
            .iter()
            .map(|blob| json!({"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}))
            .collect();
        let config = json!({
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": image.id, "size": image.raw.len(),
        });
        let document = json!({
            "schemaVersion": 2, "mediaType": ImageManifest::MEDIA_TYPE, "config": config, "layers": descriptors,
        });
        let bytes = document.to_string().into_bytes();
        Ok(ImageManifest { digest: sha256(&bytes), bytes, layers })
    }
}
