//! The identifiers of the predefined networks, which survive restarts.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use types::NetworkId;

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
