//! Small things, whole in memory.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use reqwest::Response;
use types::Digest;

use crate::Error;
use crate::failure::connect_error;
use crate::manifest::Descriptor;
use crate::registry::Registry;

/// Configurations larger than this are not configurations.
const LIMIT: usize = 16 << 20;
/// A document that takes longer than this never ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// The bytes of a configuration, verified.
pub(crate) async fn document(registry: &Registry, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    if descriptor.size > LIMIT as u64 {
        return Err(too_large(&registry.url(&format!("blobs/{}", descriptor.digest)), LIMIT));
    }
    let mut attempts = registry.attempts();
    let bytes = loop {
        let bytes = match registry.blob(&descriptor.digest, 0).await {
            Ok(response) => bounded(response, LIMIT).await,
            Err(error) => Err(error),
        };
        match bytes {
            Ok(bytes) => break bytes,
            Err(error) => attempts.again(error).await?,
        }
    };
    let right = sha256(&bytes) == descriptor.digest && (descriptor.size == 0 || descriptor.size == bytes.len() as u64);
    if right { Ok(bytes) } else { Err(Error::ManifestVerification(descriptor.digest)) }
}

/// The body of an answer that has to be small.
pub(crate) async fn bounded(mut response: Response, limit: usize) -> Result<Vec<u8>, Error> {
    let url = response.url().to_string();
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large(&url, limit));
    }
    let work = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| connect_error(&url, &error))? {
            if bytes.len() + chunk.len() > limit {
                return Err(too_large(&url, limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    let late = "net/http: request canceled (Client.Timeout or context cancellation while reading body)";
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Connect { url, reason: late.to_owned() }),
    }
}

fn too_large(url: &str, limit: usize) -> Error {
    Error::Answer { url: url.to_owned(), reason: format!("it is larger than {} KiB", limit >> 10) }
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
