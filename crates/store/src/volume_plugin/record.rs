//! What is known of the volumes of plugins: `plugins/volumes/<name>.json` each, with the mounts that were asked for.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::VolumeScope;
use crate::{Error, Result, Volume};

/// A volume of a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its mount point is the plugin's last word, and empty while nobody uses the volume.
    pub(super) volume: Volume,
    pub(super) scope: VolumeScope,
    /// The users by the id of their mount: written before the plugin is asked to mount, and taken away behind its answer
    /// that it has unmounted. Nobody (an empty name) has what is still to be unmounted.
    pub(super) mounts: BTreeMap<String, String>,
}

/// The records, in memory and as files.
#[derive(Debug, Default)]
pub(super) struct Records {
    directory: PathBuf,
    known: BTreeMap<String, Record>,
}

// === impl Records ===

impl Records {
    /// Reads what there is. A record that cannot be read is reported in the log and left out.
    pub(super) fn open(directory: PathBuf) -> Self {
        let mut known = BTreeMap::new();
        for name in crate::records::list(&directory) {
            let path = directory.join(&name);
            if name.starts_with(".tmp-") {
                let _ = fs::remove_file(path);
                continue;
            }
            let read = fs::read(&path).map_err(|error| error.to_string());
            match read.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).map_err(|error| error.to_string())) {
                Ok(record) => drop(known.insert(record.volume.name.clone(), record)),
                Err(error) => tracing::warn!(path = %path.display(), error, "leaving out a volume of a plugin"),
            }
        }
        Self { directory, known }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Record> {
        self.known.get(name)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Record> {
        self.known.values()
    }

    /// Writes a record, and then knows it.
    pub(super) fn put(&mut self, record: Record) -> Result<()> {
        let path = self.path(&record.volume.name);
        let bytes = serde_json::to_vec(&record)
            .map_err(|error| Error::Document { what: path.display().to_string(), reason: error.to_string() })?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|source| Error::io("mkdir", parent, source))?;
        }
        sys::atomic_file::write_atomic(&path, &bytes, 0o600).map_err(|source| Error::io("write", &path, source))?;
        self.known.insert(record.volume.name.clone(), record);
        Ok(())
    }

    /// Changes a record; one that is not there stays so.
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut Record)) -> Result<()> {
        let Some(mut record) = self.known.get(name).cloned() else { return Ok(()) };
        change(&mut record);
        self.put(record)
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<()> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &path, error)),
            _ => {}
        }
        self.known.remove(name);
        Ok(())
    }

    /// The volume whose record this file is.
    pub(super) fn named_by(&self, path: &Path) -> Option<&str> {
        self.known.keys().map(String::as_str).find(|name| self.path(name) == path)
    }

    fn path(&self, name: &str) -> PathBuf {
        file_of(&self.directory, name)
    }
}

/// A plugin's names may have any characters: those that mean something in a path, or that are not plain, are written in
/// hexadecimal digits, and a name that is too long is known by its digest.
fn file_of(directory: &Path, name: &str) -> PathBuf {
    let mut file = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => file.push(char::from(byte)),
            _ => file.push_str(&format!("%{byte:02x}")),
        }
    }
    if file.len() > 200 {
        file = format!("%{}", crate::stream::sha256(name.as_bytes()).hex());
    }
    // In front of it, so that none begins with a dot.
    directory.join(format!("volume-{file}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_file_of_its_own() {
        let long = "x".repeat(300);
        let names = ["a", "a/b", "a%2fb", "../a", "a b", ".", "name=x,size=1", &long, "é"];
        let files: std::collections::BTreeSet<PathBuf> =
            names.iter().map(|name| file_of(Path::new("/d"), name)).collect();
        assert_eq!(files.len(), names.len());
        for file in files {
            assert_eq!(file.parent(), Some(Path::new("/d")), "{file:?}");
            assert!(file.file_name().is_some_and(|name| name.len() < 255), "{file:?}");
        }
    }

    #[test]
    fn records_come_back() {
        let root = tempfile::tempdir().expect("directory");
        let mut records = Records::open(root.path().join("volumes"));
        let volume = Volume {
            name: "a/b".to_owned(),
            driver: "far".to_owned(),
            mountpoint: PathBuf::new(),
            created_at: String::new(),
            labels: BTreeMap::new(),
            options: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            anonymous: false,
        };
        records.put(Record { volume, scope: VolumeScope::Global, mounts: BTreeMap::new() }).expect("written");
        let mount = |record: &mut Record| drop(record.mounts.insert("id".to_owned(), "holder".to_owned()));
        records.change("a/b", mount).expect("changed");
        let again = Records::open(root.path().join("volumes"));
        let record = again.get("a/b").expect("known");
        assert_eq!((record.scope, record.volume.driver.as_str()), (VolumeScope::Global, "far"));
        assert_eq!(record.mounts.get("id").map(String::as_str), Some("holder"));
        records.remove("a/b").expect("removed");
        assert!(Records::open(root.path().join("volumes")).all().next().is_none());
    }
}
