//! Where in an image something is to be put.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::files::resolve;
use crate::view::IN_CONTAINER;
use crate::{Error, Result};

/// A path of an image, with the links in it followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Absolute, without links and dots.
    pub path: PathBuf,
    /// Whether a directory is there.
    pub is_directory: bool,
    /// Whether anything is there.
    pub exists: bool,
    /// The directories above it that are not there, topmost first.
    pub missing: Vec<PathBuf>,
}

/// Looks a path up below a root.
///
/// # Errors
/// [`Error::InContainer`] `not a directory` when something else stands in the way, or the kernel's refusal.
pub fn find(root: BorrowedFd<'_>, path: &Path) -> Result<Place> {
    let path = resolve(root, path);
    let kind = kind(root, &path)?;
    let mut missing = Vec::new();
    for parent in path.ancestors().skip(1) {
        match self::kind(root, parent)? {
            Some(FileType::Directory) => break,
            Some(_) => return Err(in_the_way("lstat", &path)),
            None => missing.push(parent.to_owned()),
        }
    }
    missing.reverse();
    Ok(Place { is_directory: kind == Some(FileType::Directory), exists: kind.is_some(), path, missing })
}

/// The error of a path that leads through, or would replace, what is no directory.
#[must_use]
pub fn in_the_way(action: &'static str, path: &Path) -> Error {
    Error::InContainer { action, path: path.display().to_string(), reason: Errno::NOTDIR.into() }
}

fn kind(root: BorrowedFd<'_>, path: &Path) -> Result<Option<FileType>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(root, path, flags, Mode::empty(), IN_CONTAINER) {
        Ok(found) => {
            let stat = rustix::fs::fstat(&found).map_err(|source| Error::io("lstat", path, source))?;
            Ok(Some(FileType::from_raw_mode(stat.st_mode)))
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(source) => Err(Error::io("lstat", path, source)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn links_are_followed_and_missing_directories_named() {
        let directory = tempfile::tempdir().expect("tempdir");
        std::fs::create_dir_all(directory.path().join("real/sub")).expect("mkdir");
        std::fs::write(directory.path().join("real/file"), "x").expect("write");
        std::os::unix::fs::symlink("/real", directory.path().join("link")).expect("symlink");
        let root = rustix::fs::open(directory.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("open");
        let find = |path: &str| find(root.as_fd(), Path::new(path));
        let place = find("/link/sub").expect("found");
        assert_eq!((place.path.as_path(), place.is_directory), (Path::new("/real/sub"), true));
        let place = find("/link/a/b/c").expect("found");
        assert_eq!(place.missing, [Path::new("/real/a"), Path::new("/real/a/b")]);
        assert!(!place.exists && place.path == Path::new("/real/a/b/c"));
        let place = find("/real/file").expect("found");
        assert!(place.exists && !place.is_directory);
        assert_eq!(find("/real/file/x").expect_err("no").to_string(), "lstat /real/file/x: not a directory");
        assert!(find("/").expect("root").is_directory);
    }
}
