//! What the store's tests share: a data root of their own and small archives.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stderr)]

use std::io::Write;
use std::path::{Path, PathBuf};

use store::{DriverChoice, Expected, Store, StoreConfig};

pub struct Fixture {
    pub root: PathBuf,
    _directory: tempfile::TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("gantry-store-").tempdir().unwrap();
        Self { root: directory.path().join("data"), _directory: directory }
    }

    pub fn open(&self, driver: DriverChoice) -> Store {
        Store::open(StoreConfig { data_root: self.root.clone(), driver }).unwrap()
    }

    /// All paths below the data root, relative, sorted.
    /// Waits for removals first.
    pub fn settled(&self, store: &Store) -> Vec<String> {
        store.settle();
        self.listing()
    }

    pub fn listing(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut pending = vec![self.root.clone()];
        while let Some(directory) = pending.pop() {
            let entries = match std::fs::read_dir(&directory) {
                // The store removed it meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.unwrap(),
            };
            for entry in entries {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    pending.push(entry.path());
                }
                found.push(entry.path().strip_prefix(&self.root).unwrap().display().to_string());
            }
        }
        found.sort();
        found
    }
}

/// Root may mount and make devices; without it the test says so and ends.
pub fn privileged() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root (device nodes, owners, overlay mounts)");
    }
    root
}

pub struct Entry<'a> {
    pub name: &'a str,
    pub kind: tar::EntryType,
    pub content: &'a [u8],
    pub link: &'a str,
    pub mode: u32,
    pub owner: u64,
}

pub fn file<'a>(name: &'a str, content: &'a str) -> Entry<'a> {
    let kind = tar::EntryType::Regular;
    Entry { name, kind, content: content.as_bytes(), link: "", mode: 0o644, owner: 0 }
}

pub fn dir(name: &str, mode: u32) -> Entry<'_> {
    Entry { name, kind: tar::EntryType::Directory, content: b"", link: "", mode, owner: 0 }
}

pub fn link<'a>(name: &'a str, kind: tar::EntryType, link: &'a str) -> Entry<'a> {
    Entry { name, kind, content: b"", link, mode: 0o777, owner: 0 }
}

/// A tar with names exactly as given, however bad.
pub fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(entry.kind);
        header.set_size(entry.content.len() as u64);
        header.set_mode(entry.mode);
        header.set_uid(entry.owner);
        header.set_gid(entry.owner);
        header.set_mtime(1_700_000_000);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        gnu.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_cksum();
        builder.append(&header, entry.content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn digest(bytes: &[u8]) -> types::Digest {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    types::Digest::from_sha256(hash.as_ref().try_into().unwrap())
}

/// A docker-archive of one image of these layers.
pub fn docker_archive(tags: &[&str], layers: &[Vec<u8>], marker: &str) -> Vec<u8> {
    let diffs: Vec<String> = layers.iter().map(|layer| digest(layer).to_string()).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {"Cmd": ["/bin/sh"], "Env": ["A=b"], "Labels": {"marker": marker}},
        "rootfs": {"type": "layers", "diff_ids": diffs},
    })
    .to_string();
    let config_name = format!("{}.json", digest(config.as_bytes()).hex());
    let names: Vec<String> = (0..layers.len()).map(|number| format!("layer{number}/layer.tar")).collect();
    let manifest = serde_json::json!([{"Config": config_name, "RepoTags": tags, "Layers": names}]).to_string();
    archive(&[(config_name.as_str(), config.as_bytes()), ("manifest.json", manifest.as_bytes())], layers)
}

pub fn archive(documents: &[(&str, &[u8])], layers: &[Vec<u8>]) -> Vec<u8> {
    let names: Vec<String> = (0..layers.len()).map(|number| format!("layer{number}/layer.tar")).collect();
    let mut builder = tar::Builder::new(Vec::new());
    let layers = names.iter().map(String::as_str).zip(layers.iter().map(Vec::as_slice));
    for (name, content) in layers.chain(documents.iter().copied()) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn load(store: &Store, archive: &[u8]) -> store::Result<Vec<store::Loaded>> {
    store.load(&mut &archive[..], None, &mut |_| {})
}

pub fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// Unpacks one layer; where it is.
pub fn put(store: &Store, layer: &[u8]) -> store::Result<(store::Lease, PathBuf)> {
    let lease = store.lease();
    let layer = store.put_layer(&lease, None, &mut &layer[..], &Expected::default())?;
    let data = store.graph_driver_data_of_chain(&layer.chain)?;
    Ok((lease, PathBuf::from(data.upper_dir.unwrap())))
}

/// The store refuses the layer, says why, and is as before.
pub fn refused(store: &Store, fixture: &Fixture, layer: &[u8], message: &str) {
    let before = fixture.settled(store);
    let error = put(store, layer).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(message), "{error} does not say {message}");
    assert_eq!(fixture.settled(store), before, "{message}");
}
