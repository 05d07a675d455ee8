//! What COPY and ADD copy: files and directories of a context or of an image, found by patterns, and the digest of
//! their content. Links lead nowhere out of the root.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::pattern::{check_pattern, has_wildcards, matches, unescape};
use crate::copy::file_xattrs;
use crate::stream::finish;
use crate::view::IN_CONTAINER;
use crate::{Error, Result};

/// Something to copy.
#[derive(Debug)]
pub struct Found {
    /// Where it is, relative to the root and as the pattern matched it; empty for the root.
    pub path: PathBuf,
    /// It itself, links followed.
    pub file: OwnedFd,
    stat: Stat,
}

impl Found {
    /// Whether it is a directory, whose content is what is copied.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }

    /// What stat(2) says.
    #[must_use]
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Its content, when it is a regular file.
    ///
    /// # Errors
    /// The file system's refusal, or that it is something else.
    pub fn open(&self) -> Result<File> {
        open_regular(&self.file).map_err(|source| Error::io("open", Path::new("/").join(&self.path), source))
    }

    /// `file:` or `dir:` and a digest of names, modes and content; never of times. `owners`: of owners too.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn digest(&self, owners: bool) -> Result<String> {
        let mut hash = Hash { context: Context::new(&SHA256), owners, buffer: vec![0; 64 << 10] };
        let failed = |source| Error::io("read", Path::new("/").join(&self.path), source);
        let prefix = if self.is_directory() {
            let directory = reopen(&self.file).map_err(failed)?;
            hash.directory(directory.as_fd(), b"").map_err(failed)?;
            "dir"
        } else {
            let name = self.path.file_name().map(OsStr::as_bytes).unwrap_or_default();
            hash.head(&self.stat, name);
            if FileType::from_raw_mode(self.stat.st_mode) == FileType::RegularFile {
                hash.xattrs(self.file.as_fd()).map_err(failed)?;
                hash.content(open_regular(&self.file).map_err(failed)?).map_err(failed)?;
            }
            "file"
        };
        Ok(format!("{prefix}:{}", finish(hash.context).hex()))
    }
}

/// Finds what a pattern means: a path, or with `*`, `?` or `[` all paths that match (`path.Match` of Go). Sorted.
/// A path that is not there, and one that leads out of the root, are not found: [`Error::NoSuchPath`].
///
/// # Errors
/// [`Error::NoSuchPath`] (not for patterns, which may match nothing), [`Error::Document`] for a malformed pattern, or
/// the file system's refusal.
pub fn find(root: BorrowedFd<'_>, pattern: &str) -> Result<Vec<Found>> {
    let clean = clean(pattern);
    if !has_wildcards(pattern) {
        return Ok(vec![locate(root, &clean)?]);
    }
    let mut paths = vec![PathBuf::new()];
    for component in clean.components() {
        let Component::Normal(part) = component else { continue };
        let part = part.to_string_lossy();
        check_pattern(&part, pattern)?;
        let mut next = Vec::new();
        for path in &paths {
            if !has_wildcards(&part) {
                next.push(path.join(unescape(&part)));
                continue;
            }
            let names = names(root, path)?;
            next.extend(names.into_iter().filter(|name| matches(&part, &name.to_string_lossy())).map(|n| path.join(n)));
        }
        paths = next;
    }
    // A name behind a wildcard need not be everywhere.
    let found = paths.iter().map(|path| locate(root, path));
    found.filter(|found| !matches!(found, Err(Error::NoSuchPath))).collect()
}

/// Finds a path that [`find`] has found before.
///
/// # Errors
/// As [`find`].
pub fn find_exact(root: BorrowedFd<'_>, path: &Path) -> Result<Found> {
    locate(root, path)
}

fn locate(root: BorrowedFd<'_>, path: &Path) -> Result<Found> {
    let asked = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match rustix::fs::openat2(root, asked, flags, Mode::empty(), IN_CONTAINER) {
        Ok(file) => {
            let stat = rustix::fs::fstat(&file).map_err(|source| Error::io("stat", path, source))?;
            Ok(Found { path: path.to_owned(), file, stat })
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Err(Error::NoSuchPath),
        Err(source) => Err(Error::io("stat", path, source)),
    }
}

/// The entries of a directory, sorted; none for what is no directory. Links are not followed here: a pattern goes
/// through the directories that are in the tree.
fn names(root: BorrowedFd<'_>, path: &Path) -> Result<Vec<OsString>> {
    let asked = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let failed = |source| Error::io("readdir", path, source);
    match rustix::fs::openat2(root, asked, flags, Mode::empty(), IN_CONTAINER) {
        Ok(directory) => {
            let sorted = sorted_names(directory.as_fd()).map_err(failed)?;
            Ok(sorted.into_iter().map(|name| OsString::from_vec(name.into_bytes())).collect())
        }
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(Vec::new()),
        Err(source) => Err(failed(source)),
    }
}

fn sorted_names(directory: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Without leading slashes, dots and doubled slashes.
fn clean(path: &str) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(clean.pop()),
            part => clean.push(part),
        }
    }
    clean
}

struct Hash {
    context: Context,
    owners: bool,
    buffer: Vec<u8>,
}

impl Hash {
    /// Lengths go in front, so that no content can pass for two.
    fn field(&mut self, bytes: &[u8]) {
        self.context.update(&(bytes.len() as u64).to_le_bytes());
        self.context.update(bytes);
    }

    fn head(&mut self, stat: &Stat, name: &[u8]) {
        self.field(name);
        let kind = FileType::from_raw_mode(stat.st_mode);
        // A link's mode means nothing.
        let mode = if kind == FileType::Symlink { 0 } else { stat.st_mode & 0o7777 };
        let device = if matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) { stat.st_rdev } else { 0 };
        let owner = if self.owners { (stat.st_uid, stat.st_gid) } else { (0, 0) };
        self.context.update(&(stat.st_mode & 0o170_000 | mode).to_le_bytes());
        self.context.update(&device.to_le_bytes());
        self.context.update(&owner.0.to_le_bytes());
        self.context.update(&owner.1.to_le_bytes());
    }

    fn xattrs(&mut self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut found = file_xattrs(file)?;
        found.sort();
        // Only what a layer can carry on: security labels are of this machine.
        for (key, value) in found.iter().filter(|(key, _)| carried(key)) {
            self.field(key.to_bytes());
            self.field(value);
        }
        Ok(())
    }

    fn directory(&mut self, directory: BorrowedFd<'_>, prefix: &[u8]) -> Result<(), Errno> {
        for name in sorted_names(directory)? {
            let path = [prefix, name.to_bytes()].concat();
            let stat = rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            self.head(&stat, &path);
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let inner = rustix::fs::openat(directory, &name, flags, Mode::empty())?;
                    self.directory(inner.as_fd(), &[&path[..], b"/"].concat())?;
                }
                FileType::Symlink => {
                    let target = rustix::fs::readlinkat(directory, &name, Vec::new())?;
                    self.field(target.to_bytes());
                }
                FileType::RegularFile => {
                    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                    let file = rustix::fs::openat(directory, &name, flags, Mode::empty())?;
                    self.xattrs(file.as_fd())?;
                    self.content(file.into())?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn content(&mut self, mut file: File) -> Result<(), Errno> {
        let mut length = 0u64;
        loop {
            let count =
                file.read(&mut self.buffer).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            if count == 0 {
                break;
            }
            length += count as u64;
            self.context.update(&self.buffer[..count]);
        }
        self.context.update(&length.to_le_bytes());
        Ok(())
    }
}

fn carried(key: &CStr) -> bool {
    key.to_bytes() == b"security.capability" || key.to_bytes().starts_with(b"user.")
}

fn reopen(file: &OwnedFd) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Opens what was found for reading; only a regular file, since to open a device or a pipe has effects.
fn open_regular(file: &OwnedFd) -> Result<File, Errno> {
    if FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_found_below_the_root_and_times_do_not_count() {
        let directory = tempfile::tempdir().expect("tempdir");
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(at("d/sub")).expect("mkdir");
        std::fs::write(at("d/x"), "x").expect("write");
        std::fs::write(at("d/y"), "y").expect("write");
        std::os::unix::fs::symlink("/etc/passwd", at("out")).expect("symlink");
        std::os::unix::fs::symlink("d/x", at("link")).expect("symlink");
        let root = rustix::fs::open(directory.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("open");
        let paths = |pattern: &str| {
            let found = find(root.as_fd(), pattern).map_err(|error| error.to_string())?;
            Ok::<_, String>(found.iter().map(|found| found.path.display().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(paths("./d/../d/x"), Ok(vec!["d/x".to_owned()]));
        assert_eq!(paths("d/*"), Ok(vec!["d/sub".to_owned(), "d/x".to_owned(), "d/y".to_owned()]));
        assert_eq!(paths("*/x"), Ok(vec!["d/x".to_owned()]));
        assert_eq!(paths("z*"), Ok(vec![]));
        assert!(paths("out").is_err() && paths("nosuch").is_err());
        assert!(!find(root.as_fd(), "link").expect("found")[0].is_directory());
        let digest = |pattern: &str| find(root.as_fd(), pattern).expect("found")[0].digest(false).expect("digest");
        let (file, tree) = (digest("d/x"), digest("d"));
        assert!(file.starts_with("file:") && tree.starts_with("dir:"));
        let later = File::open(at("d/x")).expect("open");
        later.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("touch");
        assert_eq!((digest("d/x"), digest("d")), (file.clone(), tree.clone()));
        std::fs::write(at("d/x"), "z").expect("write");
        assert!(digest("d/x") != file && digest("d") != tree);
    }
}
