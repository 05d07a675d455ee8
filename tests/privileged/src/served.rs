//! An image as a registry serves it, to be spoilt by tests.

use serde_json::{Value, json};

use crate::archive::{Image, sha256};
use crate::stub::{Answer, Request};

/// Docker's media type of a manifest.
pub const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// OCI's media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Documents and blobs of one image, under `app` and any tag.
#[derive(Clone, Debug)]
pub struct Served {
    /// The document of every tag, with its media type.
    pub top: (String, Vec<u8>),
    /// Other documents, with their media types.
    pub documents: Vec<(String, Vec<u8>)>,
    /// Everything under its true digest: the configuration, then the layers.
    pub blobs: Vec<Vec<u8>>,
}

impl Served {
    /// The image as it should be.
    pub fn of(image: &Image) -> Self {
        let config = image.configuration();
        let layers: Vec<Vec<u8>> = image.layers.iter().map(|layer| layer.bytes().to_vec()).collect();
        let manifest = Self::manifest(&config, &layers);
        let blobs = [vec![config], layers].concat();
        Self { top: (MANIFEST.to_owned(), manifest.to_string().into_bytes()), documents: Vec::new(), blobs }
    }

    /// The manifest of a configuration and its layers.
    pub fn manifest(config: &[u8], layers: &[Vec<u8>]) -> Value {
        let layer = |bytes: &Vec<u8>| {
            let media_type = "application/vnd.docker.image.rootfs.diff.tar.gzip";
            json!({"mediaType": media_type, "size": bytes.len(), "digest": sha256(bytes).to_string()})
        };
        json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": config.len(),
                "digest": sha256(config).to_string(),
            },
            "layers": layers.iter().map(layer).collect::<Vec<_>>(),
        })
    }

    /// The manifest, to be changed and given to `with_manifest`.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.top.1).expect("JSON")
    }

    /// With another manifest.
    pub fn with_manifest(mut self, manifest: &Value) -> Self {
        self.top.1 = manifest.to_string().into_bytes();
        self
    }

    /// Behind an index with these entries; the manifest stays there by its digest.
    pub fn behind(mut self, entries: &[Value]) -> Self {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string().into_bytes();
        self.documents.push(std::mem::replace(&mut self.top, (INDEX.to_owned(), index)));
        self
    }

    /// What an index says about the document of the tags.
    pub fn entry(&self) -> Value {
        json!({"mediaType": self.top.0, "size": self.top.1.len(), "digest": sha256(&self.top.1).to_string()})
    }

    /// Digest of a blob.
    pub fn digest(&self, number: usize) -> String {
        sha256(&self.blobs[number]).to_string()
    }

    /// The honest answer of a registry.
    pub fn answer(&self, request: &Request) -> Option<Answer> {
        if request.path == "/v2/" {
            return Some(Answer::new("200 OK", "{}"));
        }
        let (_, rest) = request.path.strip_prefix("/v2/")?.split_once('/')?;
        if let Some(which) = rest.strip_prefix("manifests/") {
            let named = self.documents.iter().find(|(_, bytes)| sha256(bytes).to_string() == which);
            let (kind, bytes) = match which.starts_with("sha256:") {
                true if sha256(&self.top.1).to_string() != which => named?,
                _ => &self.top,
            };
            return Some(Answer::new(format!("200 OK\r\ncontent-type: {kind}"), bytes.clone()));
        }
        let digest = rest.strip_prefix("blobs/")?;
        let blob = self.blobs.iter().find(|bytes| sha256(bytes).to_string() == digest)?;
        Some(Answer::ranged(request, blob))
    }
}
