//! `health.json`: what the checks have found, for the next daemon.
//!
//! Rewritten in place after every check and never made smaller: freeing a block waits for the disk, and checks run
//! beside starts. A record that a kill has torn does not parse; then the check begins anew.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::error::Error;
use crate::model::Health;

const PAGE: usize = 4096;

/// Replaces the record.
pub(super) fn write(path: &Path, health: &Health) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec(health).map_err(|source| Error::Record { path: path.to_owned(), source })?;
    let failed = || Error::file("write", path);
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed())?;
    let before = usize::try_from(file.metadata().map_err(failed())?.len()).unwrap_or_default();
    // Blanks cover what is left of a longer record.
    bytes.resize(bytes.len().max(before).next_multiple_of(PAGE), b' ');
    file.write_all_at(&bytes, 0).map_err(failed())
}

/// The record; none is an empty one.
pub(crate) fn read(path: &Path) -> Health {
    let bytes = std::fs::read(path).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HealthStatus;

    #[test]
    fn a_shorter_record_covers_a_longer_one() {
        let path = std::env::temp_dir().join(format!("engine-health-{}", std::process::id()));
        assert_eq!(read(&path), Health::default());
        let at = jiff::Timestamp::UNIX_EPOCH;
        let result = crate::model::CheckResult { start: at, end: at, exit_code: 1, output: "x".repeat(PAGE) };
        let long = Health { status: HealthStatus::Unhealthy, failing_streak: 3, log: vec![result] };
        write(&path, &long).expect("written");
        assert_eq!(read(&path), long);
        write(&path, &Health::default()).expect("written");
        assert_eq!(read(&path), Health::default());
        std::fs::remove_file(&path).expect("cleanup");
    }
}
