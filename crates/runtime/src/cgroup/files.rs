//! Control files: one value in, one value out.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use super::Error;

/// Writes one value in one `write(2)`; the file must exist.
pub(super) fn write(path: &Path, value: &str) -> Result<(), Error> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .map_err(|source| Error::write(path, value, source))
}

/// Writes `file` in `directory`.
pub(super) fn set(directory: &Path, file: &str, value: impl AsRef<str>) -> Result<(), Error> {
    write(&directory.join(file), value.as_ref())
}

/// The whole of a control file.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let mut text = String::with_capacity(256);
    File::open(path)
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(|source| Error::Read { path: path.to_owned(), source })?;
    Ok(text)
}

/// The whole of a control file, or nothing where there is no such file.
pub(super) fn read_optional(path: &Path) -> Option<String> {
    read(path).ok()
}

/// A file holding one number; `max` and `-1` read as [`u64::MAX`].
pub(super) fn number(path: &Path) -> Option<u64> {
    read_optional(path).and_then(|text| parse_number(&text))
}

/// One number of a control file.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    match text.trim() {
        "max" | "-1" => Some(u64::MAX),
        digits => digits.parse().ok(),
    }
}

/// The `key value` lines of a flat keyed file.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, parse_number(value)?))
    })
}

/// One value of a flat keyed file.
pub(super) fn value_of(text: &str, key: &str) -> Option<u64> {
    pairs(text).find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// Makes a directory; `false` when it was there already.
pub(super) fn make_directory(path: &Path) -> Result<bool, Error> {
    match std::fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(Error::Create { path: path.to_owned(), source }),
    }
}
