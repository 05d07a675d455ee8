//! JSON records of the engine: replaced atomically, without fsync.
//!
//! A rename makes the new record visible whole or not at all, so a killed daemon loses nothing. The start path
//! must not wait for a disk (2 ms a flush); after a power cut the last seconds may be missing, never torn.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// What the kernel writes without a break.
const PAGE: usize = 4096;

/// Replaces the record at `path`.
///
/// # Errors
/// [`Error::File`] with the path; the old record stays.
pub(crate) fn write<T: Serialize>(path: &Path, record: &T) -> Result<(), Error> {
    let bytes = serde_json::to_vec(record).map_err(|source| Error::Record { path: path.to_owned(), source })?;
    let fresh = path.with_extension("json.new");
    fs::write(&fresh, bytes).map_err(Error::file("write", &fresh))?;
    fs::rename(&fresh, path).map_err(Error::file("replace", path))
}

/// Rewrites a small record that changes often, in place.
///
/// Replacing a file frees the old one's block, which takes 4 ms on ext4 with `discard`, on the path of every start and
/// exit. One write within one page is whole or not there for whoever reads the file after a kill; the rest of the page
/// is blank, so that no older, longer record shines through. A larger record is replaced by rename after all.
///
/// # Errors
/// [`Error::File`] with the path.
pub(crate) fn rewrite<T: Serialize>(path: &Path, record: &T) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec(record).map_err(|source| Error::Record { path: path.to_owned(), source })?;
    let failed = || Error::file("rewrite", path);
    let file = fs::File::options().write(true).open(path).map_err(failed())?;
    let before = file.metadata().map_err(failed())?.len();
    if bytes.len() > PAGE || before > PAGE as u64 {
        return write(path, record);
    }
    bytes.resize(PAGE, b' ');
    file.write_all_at(&bytes, 0).map_err(failed())
}

/// Reads the record at `path`.
///
/// # Errors
/// [`Error::File`], [`Error::Record`].
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = fs::read(path).map_err(Error::file("read", path))?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Record { path: path.to_owned(), source })
}
