//! The set of files that is one log: `x-json.log` is being written, `.1` is the one before, and so on.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The file with this age; 0 is the present one.
pub(crate) fn aged(path: &Path, age: u32) -> PathBuf {
    if age == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{age}"));
    PathBuf::from(name)
}

/// Makes each file one older; the one older than `max_file` allows is overwritten.
pub(crate) fn shift(path: &Path, max_file: u32) -> io::Result<()> {
    for age in (0..max_file.saturating_sub(1)).rev() {
        match std::fs::rename(aged(path, age), aged(path, age + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
