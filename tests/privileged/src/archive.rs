//! Writer of docker-archive tars (`docker save` format): `manifest.json`, one config, layer tars.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde_json::{Value, json};
use types::Digest;

/// One layer of an image: an uncompressed tar.
#[derive(Clone, Debug)]
pub struct Layer {
    bytes: Vec<u8>,
    digest: Digest,
}

/// Builds the tar of one layer entry by entry, with fixed times so that equal contents give equal bytes.
pub struct LayerBuilder {
    tar: tar::Builder<Vec<u8>>,
}

/// What an image is called, holds and does by default.
#[derive(Clone, Debug)]
pub struct Image {
    /// `name:tag`.
    pub reference: String,
    /// Bottom layer first.
    pub layers: Vec<Layer>,
    /// The `config` object of the image configuration (`Cmd`, `Env`, …).
    pub config: Value,
}

// === impl Layer ===

impl Layer {
    /// Wraps a finished tar.
    pub fn from_tar(bytes: Vec<u8>) -> Self {
        let digest = sha256(&bytes);
        Self { bytes, digest }
    }

    /// Reads a finished tar from a file.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        File::open(path)?.read_to_end(&mut bytes)?;
        Ok(Self::from_tar(bytes))
    }

    /// A layer of regular files: (path, content), mode 0644.
    pub fn of_files(files: &[(&str, &[u8])]) -> Self {
        let mut builder = LayerBuilder::new();
        for (path, content) in files {
            builder.file(path, 0o644, content);
        }
        builder.finish()
    }

    /// The tar.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Digest of the tar: the layer's diff id.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

// === impl LayerBuilder ===

impl Default for LayerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerBuilder {
    /// An empty layer.
    pub fn new() -> Self {
        Self { tar: tar::Builder::new(Vec::new()) }
    }

    /// Adds a directory with its permission bits.
    pub fn directory(&mut self, path: &str, mode: u32) -> &mut Self {
        let mut header = header(tar::EntryType::Directory, mode, 0);
        self.tar.append_data(&mut header, format!("{path}/"), io::empty()).expect("writing to memory");
        self
    }

    /// Adds a regular file with its permission bits.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> &mut Self {
        let mut header = header(tar::EntryType::Regular, mode, content.len() as u64);
        self.tar.append_data(&mut header, path, content).expect("writing to memory");
        self
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) -> &mut Self {
        let mut header = header(tar::EntryType::Symlink, 0o777, 0);
        self.tar.append_link(&mut header, path, target).expect("writing to memory");
        self
    }

    /// Closes the tar.
    pub fn finish(self) -> Layer {
        Layer::from_tar(self.tar.into_inner().expect("writing to memory"))
    }
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    header
}

// === impl Image ===

impl Image {
    /// The image configuration (OCI image-spec, config.md) as it is stored in the archive.
    pub fn configuration(&self) -> Vec<u8> {
        let created = "2024-01-01T00:00:00Z";
        let history: Vec<Value> =
            self.layers.iter().map(|_| json!({"created": created, "created_by": "fixture"})).collect();
        let diff_ids: Vec<String> = self.layers.iter().map(|layer| layer.digest.to_string()).collect();
        let value = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "created": created,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        });
        serde_json::to_vec(&value).expect("a JSON value serialises")
    }

    /// The image id: digest of the configuration.
    pub fn id(&self) -> Digest {
        sha256(&self.configuration())
    }

    /// Writes the archive.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        let mut tar = tar::Builder::new(out);
        let configuration = self.configuration();
        let config_name = format!("{}.json", sha256(&configuration).hex());
        let mut layers = Vec::new();
        let mut written = std::collections::HashSet::new();
        for layer in &self.layers {
            let name = format!("{}/layer.tar", layer.digest.hex());
            if written.insert(layer.digest) {
                append(&mut tar, &name, &layer.bytes)?;
            }
            layers.push(name);
        }
        append(&mut tar, &config_name, &configuration)?;
        let manifest = json!([{"Config": config_name, "RepoTags": [self.reference], "Layers": layers}]);
        append(&mut tar, "manifest.json", manifest.to_string().as_bytes())?;
        tar.into_inner()?.flush()
    }

    /// The archive in memory.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes).expect("writing to memory");
        bytes
    }
}

fn append<W: Write>(tar: &mut tar::Builder<W>, name: &str, content: &[u8]) -> io::Result<()> {
    tar.append_data(&mut header(tar::EntryType::Regular, 0o644, content.len() as u64), name, content)
}

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> Digest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    Digest::from_sha256(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}
