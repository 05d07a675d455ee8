//! Names in archives.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::error::ArchiveProblem;
use crate::{Error, Result};

/// The path an entry's name means, relative to the root, without `.` and `..`. Empty for the root itself.
/// A leading slash means the root.
///
/// # Errors
/// [`ArchiveProblem::Escape`] when it leads above the root.
pub(crate) fn clean(name: &[u8]) -> Result<PathBuf> {
    let escape = || Error::Archive(ArchiveProblem::Escape(String::from_utf8_lossy(name).into_owned()));
    if name.contains(&0) {
        return Err(escape());
    }
    let mut path = PathBuf::new();
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                if !path.pop() {
                    return Err(escape());
                }
            }
            component => path.push(OsStr::from_bytes(component)),
        }
    }
    Ok(path)
}

/// What a file name says about the layers below.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mark<'a> {
    /// An ordinary name.
    None,
    /// Hides this name.
    Whiteout(&'a OsStr),
    /// Hides everything in its directory.
    Opaque,
    /// Bookkeeping of a union file system, of no use to others.
    Foreign,
    /// A whiteout of no name, or of the directory itself or the one above: taken by its word, it would remove these.
    Nothing,
}

pub(super) fn mark(file_name: &OsStr) -> Mark<'_> {
    match file_name.as_bytes().strip_prefix(b".wh.") {
        None => Mark::None,
        Some(b".wh..opq") => Mark::Opaque,
        Some(rest) if rest.starts_with(b".wh.") => Mark::Foreign,
        Some(b"" | b"." | b"..") => Mark::Nothing,
        Some(rest) => Mark::Whiteout(OsStr::from_bytes(rest)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn names_stay_below_the_root() {
        for (name, path) in
            [("./a/b", "a/b"), ("/etc/passwd", "etc/passwd"), ("a/../b/", "b"), ("./", ""), ("a//./b", "a/b")]
        {
            assert_eq!(clean(name.as_bytes()).expect(name), Path::new(path));
        }
        for name in ["..", "../x", "a/../../x", "/../x", "a\0b"] {
            assert!(clean(name.as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn marks_are_told_from_names() {
        assert_eq!(mark(OsStr::new("a")), Mark::None);
        assert_eq!(mark(OsStr::new(".wh.a")), Mark::Whiteout(OsStr::new("a")));
        assert_eq!(mark(OsStr::new(".wh..wh..opq")), Mark::Opaque);
        assert_eq!(mark(OsStr::new(".wh..wh.plnk")), Mark::Foreign);
        for name in [".wh.", ".wh..", ".wh..."] {
            assert_eq!(mark(OsStr::new(name)), Mark::Nothing, "{name}");
        }
    }
}
