//! The set of files that is one log: `x-json.log` is being written, `.1` is the one before, and so on. A rotated file
//! may be compressed: `.1.gz` or `.1.zst`.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How rotated files are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// As Docker does, with its names.
    Gzip,
    /// Several times faster both ways.
    Zstd,
}

/// Every name a file of one age can have.
const FORMS: [Option<Codec>; 3] = [None, Some(Codec::Gzip), Some(Codec::Zstd)];

// === impl Codec ===

impl Codec {
    fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// The codec's name on the command line of the compressor.
    pub(crate) fn name(self) -> &'static str {
        &self.suffix()[1..]
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Gzip, Self::Zstd].into_iter().find(|codec| codec.name() == name)
    }
}

/// The file with this age; 0 is the present one.
pub(crate) fn aged(path: &Path, age: u32) -> PathBuf {
    if age == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{age}"));
    PathBuf::from(name)
}

/// The file with this age in this form.
pub(crate) fn formed(path: &Path, age: u32, codec: Option<Codec>) -> PathBuf {
    let mut name = OsString::from(aged(path, age));
    name.push(codec.map_or("", Codec::suffix));
    PathBuf::from(name)
}

/// What the compressor writes before it gives it a name.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".compressing");
    PathBuf::from(name)
}

/// Makes each file one older; the one older than `max_file` allows is overwritten or removed. `packed`: there may be
/// compressed ones.
pub(crate) fn shift(path: &Path, max_file: u32, packed: bool) -> io::Result<()> {
    for age in (0..oldest(path, max_file)).rev() {
        let (last, forms) = (age + 1 == max_file, if age == 0 || !packed { &FORMS[..1] } else { &FORMS[..] });
        for form in forms {
            let from = formed(path, age, *form);
            let moved = if last {
                // Without compression the next rename overwrites it.
                if packed { std::fs::remove_file(&from) } else { Ok(()) }
            } else {
                std::fs::rename(&from, formed(path, age + 1, *form))
            };
            match moved {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// One more than the age of the oldest file, at most `max_file`.
fn oldest(path: &Path, max_file: u32) -> u32 {
    (1..max_file).find(|age| sizes(path, *age).is_empty()).unwrap_or(max_file)
}

/// The files of this age with their sizes; two while one replaces the other.
pub(crate) fn sizes(path: &Path, age: u32) -> Vec<(PathBuf, u64)> {
    let forms = if age == 0 { &FORMS[..1] } else { &FORMS[..] };
    let sized = |path: PathBuf| std::fs::symlink_metadata(&path).ok().map(|metadata| (path, metadata.len()));
    forms.iter().filter_map(|form| sized(formed(path, age, *form))).collect()
}

/// Removes the oldest files until what is older than the present one has no more than `allowed` bytes; returns how
/// many it has.
pub(crate) fn trim(path: &Path, max_file: u32, allowed: u64) -> io::Result<u64> {
    let mut files: Vec<_> = (1..max_file).map(|age| sizes(path, age)).take_while(|files| !files.is_empty()).collect();
    let mut sum: u64 = files.iter().flatten().map(|(_, size)| size).sum();
    while sum > allowed {
        let Some(oldest) = files.pop() else { break };
        for (path, size) in oldest {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => sum -= size,
            }
        }
    }
    Ok(sum)
}
