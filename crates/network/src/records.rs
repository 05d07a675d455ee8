//! What survives restarts: the identifiers of the predefined networks, and the networks of users, one file each.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use types::NetworkId;

use crate::definition::UserNetwork;
use crate::{Error, random};

/// What is written down about one predefined network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkRecord {
    pub(crate) id: NetworkId,
    /// RFC 3339 with nanoseconds.
    pub(crate) created: String,
}

/// The predefined networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkRecords {
    pub(crate) bridge: NetworkRecord,
    pub(crate) host: NetworkRecord,
    pub(crate) none: NetworkRecord,
}

impl NetworkRecords {
    /// Reads the record, or draws identifiers and writes it.
    pub(crate) fn load_or_create(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Record { path: path.to_owned(), source };
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let records = Self { bridge: record()?, host: record()?, none: record()? };
                records.write(path).map_err(failed)?;
                Ok(records)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        sys::atomic_file::write_durable(path, &serde_json::to_vec(self)?, 0o600)
    }
}

/// Reads the networks of users, oldest first. One that cannot be read is logged and left for a person to look at.
pub(crate) fn load_users(directory: &Path) -> Result<Vec<UserNetwork>, Error> {
    load_sorted(directory, |network: &UserNetwork| network.definition.created.clone())
}

/// Reads the files of a directory that an identifier names, oldest first.
pub(crate) fn load_sorted<T: DeserializeOwned>(
    directory: &Path,
    created: impl Fn(&T) -> String,
) -> Result<Vec<T>, Error> {
    let mut records: Vec<T> = read_records(directory)?;
    records.sort_by_key(created);
    Ok(records)
}

/// Reads the files of a directory that an identifier names.
fn read_records<T: DeserializeOwned>(directory: &Path) -> Result<Vec<T>, Error> {
    let listed = std::fs::read_dir(directory).map_err(|source| Error::Record { path: directory.to_owned(), source })?;
    let mut networks = Vec::new();
    for path in listed.flatten().map(|entry| entry.path()) {
        let named = path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.len() == 64);
        if !named || path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        match std::fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?)) {
            Ok(network) => networks.push(network),
            Err(error) => tracing::error!(path = %path.display(), %error, "a network's record cannot be read"),
        }
    }
    Ok(networks)
}

/// Writes a user's network down.
pub(crate) fn write_user(path: &Path, network: &impl Serialize) -> Result<(), Error> {
    let written = serde_json::to_vec(network).map_err(io::Error::from);
    let written = written.and_then(|bytes| sys::atomic_file::write_durable(path, &bytes, 0o600));
    written.map_err(|source| Error::Record { path: path.to_owned(), source })
}

/// Removes the record of a user's network; none is fine.
pub(crate) fn remove_user(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Record { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}

fn record() -> Result<NetworkRecord, Error> {
    Ok(NetworkRecord { id: random::network_id()?, created: jiff::Timestamp::now().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_survive_a_restart() {
        let root = tempfile::tempdir().expect("temporary directory");
        let path = root.path().join("network/networks.json");
        let first = NetworkRecords::load_or_create(&path).expect("created");
        assert_eq!(NetworkRecords::load_or_create(&path).expect("read"), first);
        assert_ne!(first.bridge.id, first.host.id);
        std::fs::write(&path, "{").expect("written");
        assert!(matches!(NetworkRecords::load_or_create(&path), Err(Error::Record { .. })));
    }
}
