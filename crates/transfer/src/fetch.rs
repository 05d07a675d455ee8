//! Small blobs, whole in memory.

use aws_lc_rs::digest::{Context, SHA256};
use types::Digest;

use crate::Error;
use crate::failure::connect_error;
use crate::manifest::Descriptor;
use crate::registry::Registry;

/// Configurations larger than this are not configurations.
const LIMIT: u64 = 16 << 20;

/// The bytes of a configuration, verified.
pub(crate) async fn document(registry: &Registry, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    let mut response = registry.blob(&descriptor.digest, 0).await?;
    let url = response.url().to_string();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| connect_error(&url, &error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > LIMIT {
            return Err(Error::Answer { url, reason: "the configuration is too large".to_owned() });
        }
    }
    if sha256(&bytes) == descriptor.digest { Ok(bytes) } else { Err(Error::ManifestVerification(descriptor.digest)) }
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    finish(context)
}

pub(crate) fn finish(context: Context) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest::from_sha256(bytes)
}
