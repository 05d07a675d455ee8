//! Manifests of the kind before schema 2, made into images as Docker did (distribution's "Image Manifest Version 2,
//! Schema 1"): each layer carries a document of its own, the topmost one first, and the image is made of these.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use store::DiffId;
use types::Digest;

use crate::Error;
use crate::fetch::sha256;

/// Media types begin with this, signed or not.
pub(crate) const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+";

/// A manifest; the topmost layer is the first one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    #[serde(default)]
    fs_layers: Vec<FsLayer>,
    #[serde(default)]
    history: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FsLayer {
    blob_sum: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    v1_compatibility: String,
}

/// What a layer's document says about the layer.
#[derive(Deserialize)]
struct Compatible {
    id: String,
    #[serde(default)]
    parent: String,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    author: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    container_config: Option<Command>,
    /// It changes nothing but the configuration.
    #[serde(default)]
    throwaway: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Command {
    #[serde(default)]
    cmd: Option<Vec<String>>,
}

/// One step of the image's history (OCI image-spec, "Image Configuration"), in Docker's order of members.
#[derive(Serialize)]
struct History {
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    author: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    created_by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    empty_layer: bool,
}

#[derive(Serialize)]
struct RootFs<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: &'a [DiffId],
}

/// The image that a manifest describes.
#[derive(Debug)]
pub(crate) struct Schema1 {
    /// Blobs of its layers, bottom first; those without content are left out.
    pub(crate) blobs: Vec<Digest>,
    /// Members of the topmost document, as they were written.
    members: BTreeMap<String, Box<RawValue>>,
    history: Box<RawValue>,
}

/// Where the signed bytes end and what follows them (JSON Web Signature, as libtrust writes it).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Protected {
    format_length: usize,
    format_tail: String,
}

/// The signed bytes, whose digest is the manifest's. The signatures are no proof of anything: each brings its own key.
pub(crate) fn payload(bytes: &[u8]) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Signed {
        signatures: Vec<Signature>,
    }
    #[derive(Deserialize)]
    struct Signature {
        protected: String,
    }
    let decode = |text: &str| {
        let bare = text.trim_end_matches('=');
        URL_SAFE_NO_PAD.decode(bare).or_else(|_| STANDARD_NO_PAD.decode(bare)).ok()
    };
    let signed: Signed = serde_json::from_slice(bytes).ok()?;
    let protected: Protected = serde_json::from_slice(&decode(&signed.signatures.first()?.protected)?).ok()?;
    let mut payload = bytes.get(..protected.format_length)?.to_vec();
    payload.extend(decode(&protected.format_tail)?);
    Some(payload)
}

/// The digest of a manifest, signed or not.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    payload(bytes).map_or_else(|| sha256(bytes), |payload| sha256(&payload))
}

// === impl Schema1 ===

impl Schema1 {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`Error::Answer`] with what does not fit, in Docker's words where it has any.
    pub(crate) fn parse(which: &str, bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Answer { url: which.to_owned(), reason };
        // What is not signed does not count.
        let payload = payload(bytes);
        let document: Document =
            serde_json::from_slice(payload.as_deref().unwrap_or(bytes)).map_err(|error| wrong(error.to_string()))?;
        if document.schema_version != 1 {
            return Err(wrong(format!("unsupported schema version {}", document.schema_version)));
        }
        if document.fs_layers.is_empty() {
            return Err(wrong("no FSLayers in manifest".to_owned()));
        }
        if document.fs_layers.len() != document.history.len() {
            return Err(wrong("length of history not equal to number of layers".to_owned()));
        }
        let mut layers = Vec::new();
        for (layer, entry) in document.fs_layers.iter().zip(&document.history) {
            let compatible: Compatible =
                serde_json::from_str(&entry.v1_compatibility).map_err(|error| wrong(error.to_string()))?;
            layers.push((layer.blob_sum, compatible, entry.v1_compatibility.as_str()));
        }
        let top = layers[0].2;
        // The same layer twice in a row is one.
        layers.dedup_by(|below, above| below.1.id == above.1.id);
        check_parents(&layers).map_err(wrong)?;
        let members: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(top).map_err(|error| wrong(error.to_string()))?;
        layers.reverse();
        let history: Vec<History> = layers.iter().map(|(_, compatible, _)| compatible.history()).collect();
        let history = to_raw_value(&history).map_err(|error| wrong(error.to_string()))?;
        let blobs = layers.iter().filter(|(_, compatible, _)| !compatible.throwaway).map(|(blob, _, _)| *blob);
        Ok(Self { blobs: blobs.collect(), members, history })
    }

    /// The image's configuration, with the layers as they were unpacked.
    pub(crate) fn configuration(mut self, diffs: &[DiffId]) -> Result<Vec<u8>, serde_json::Error> {
        for name in ["id", "parent", "Size", "parent_id", "layer_id", "throwaway"] {
            self.members.remove(name);
        }
        let rootfs = RootFs { kind: "layers", diff_ids: diffs };
        self.members.insert("rootfs".to_owned(), to_raw_value(&rootfs)?);
        self.members.insert("history".to_owned(), self.history);
        serde_json::to_vec(&self.members)
    }
}

/// Each layer names the one below.
fn check_parents(layers: &[(Digest, Compatible, &str)]) -> Result<(), String> {
    if layers.last().is_some_and(|(_, base, _)| !base.parent.is_empty()) {
        return Err("invalid parent ID in the base layer of the image".to_owned());
    }
    let mut seen = std::collections::HashSet::new();
    for pair in layers.windows(2) {
        let (above, below) = (&pair[0].1, &pair[1].1);
        if !seen.insert(above.id.as_str()) {
            return Err(format!("ID {} appears multiple times in manifest", above.id));
        }
        if above.parent != below.id {
            return Err(format!("invalid parent ID. Expected {}, got {}", below.id, above.parent));
        }
    }
    Ok(())
}

impl Compatible {
    fn history(&self) -> History {
        let command = self.container_config.as_ref().and_then(|config| config.cmd.as_ref());
        History {
            created: self.created.clone(),
            author: self.author.clone(),
            created_by: command.map(|words| words.join(" ")).unwrap_or_default(),
            comment: self.comment.clone(),
            empty_layer: self.throwaway,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn manifest(layers: &[(u8, Value)]) -> Vec<u8> {
        let blob = |byte: &u8| json!({"blobSum": Digest::from_sha256([*byte; 32])});
        json!({
            "schemaVersion": 1,
            "fsLayers": layers.iter().map(|(byte, _)| blob(byte)).collect::<Vec<_>>(),
            "history": layers.iter().map(|(_, value)| json!({"v1Compatibility": value.to_string()})).collect::<Vec<_>>(),
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn an_image_is_made_of_the_layers_documents() {
        let top = json!({
            "id": "c", "parent": "b", "throwaway": true, "architecture": "amd64", "os": "linux", "created": "2015-01-02T00:00:00Z",
            "config": {"Cmd": ["sh"]}, "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) CMD"]}, "Size": 0,
        });
        let bytes = manifest(&[
            (9, top),
            (2, json!({"id": "b", "parent": "a", "author": "me"})),
            (1, json!({"id": "a", "created": "2015-01-01T00:00:00Z", "container_config": {"Cmd": ["one"]}})),
        ]);
        let schema1 = Schema1::parse("x", &bytes).expect("a manifest");
        assert_eq!(schema1.blobs, [Digest::from_sha256([1; 32]), Digest::from_sha256([2; 32])]);
        let diffs = [DiffId(Digest::from_sha256([3; 32])), DiffId(Digest::from_sha256([4; 32]))];
        let text = schema1.configuration(&diffs).expect("a configuration");
        let value: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(value["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            value["history"],
            json!([
                {"created": "2015-01-01T00:00:00Z", "created_by": "one"},
                {"author": "me"},
                {"created": "2015-01-02T00:00:00Z", "created_by": "/bin/sh -c #(nop) CMD", "empty_layer": true},
            ])
        );
        let keys: Vec<&String> = value.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["architecture", "config", "container_config", "created", "history", "os", "rootfs"]);
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        let reason = |layers: &[(u8, Value)]| match Schema1::parse("x", &manifest(layers)) {
            Err(Error::Answer { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(&[]), "no FSLayers in manifest");
        let base = |parent: &str| json!({"id": "a", "parent": parent});
        assert_eq!(reason(&[(1, base("z"))]), "invalid parent ID in the base layer of the image");
        let above = json!({"id": "b", "parent": "c"});
        assert_eq!(reason(&[(2, above), (1, base(""))]), "invalid parent ID. Expected a, got c");
        let twice = [(2, json!({"id": "b", "parent": "a"})), (2, json!({"id": "b", "parent": "a"})), (1, base(""))];
        assert_eq!(Schema1::parse("x", &manifest(&twice)).expect("a manifest").blobs.len(), 2);
    }

    #[test]
    fn the_digest_is_that_of_the_signed_bytes() {
        let plain = br#"{"schemaVersion":1,"fsLayers":[]}"#;
        let protected = json!({"formatLength": plain.len() - 1, "formatTail": URL_SAFE_NO_PAD.encode("}")}).to_string();
        let mut signed = plain[..plain.len() - 1].to_vec();
        let signature = json!({"protected": URL_SAFE_NO_PAD.encode(protected)});
        signed.extend(format!(",\"signatures\":[{signature}]}}").bytes());
        assert_eq!(digest(&signed), sha256(plain));
        assert_eq!(digest(plain), sha256(plain));
    }
}
