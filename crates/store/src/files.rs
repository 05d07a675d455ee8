//! Single files and directories of a container, in and out (`docker cp`): below a descriptor of its root, as it sees
//! them. The container may run and change what paths mean meanwhile; nothing outside of its root is ever reached.

use std::collections::VecDeque;
use std::ffi::{CString, OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::ArchiveProblem;
use crate::pack::{Content, Packer};
use crate::shift::Shift;
use crate::stream::{decompress_any, drain, stream_error};
use crate::unpack::{Live, unpack_live};
use crate::view::IN_CONTAINER;
use crate::{Error, Result};

/// Links that are followed before giving up, as the kernel does.
const MAX_LINKS: usize = 40;
/// A path that is renamed again and again while it is resolved fails in the end.
const ATTEMPTS: usize = 64;

/// What a path in a container leads to (`X-Docker-Container-Path-Stat`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStat {
    /// Last component; `.` or `/` where the path ends so.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Type and permissions, as stat(2) has them.
    pub mode: u32,
    /// Seconds and nanoseconds since the epoch.
    pub modified: (i64, u32),
    /// Where a symbolic link leads to in the end, absolute in the container; empty for anything else.
    pub link_target: String,
}

/// A path that was found.
#[derive(Debug)]
pub struct Located {
    /// The directory it is in, or it itself.
    directory: OwnedFd,
    /// `None`: the directory itself.
    name: Option<CString>,
    /// What archives call it.
    shown: OsString,
    stat: Stat,
    link_target: String,
}

/// A directory to extract into.
#[derive(Debug)]
pub struct Destination {
    directory: OwnedFd,
    /// Absolute in the container, without links.
    pub path: PathBuf,
}

/// How to extract.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extract {
    /// A directory may not become something else, nor the other way round.
    pub keep_kinds: bool,
    /// Everything gets this owner and group of the container.
    pub owner: Option<(u32, u32)>,
    /// How the container's users are mapped, when the root shows them so.
    pub shift: Option<Shift>,
}

/// How a path ends: what is meant is then what is behind a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Name,
    Slash,
    Dot,
}

/// Finds what a path means. A link at its end is not followed, unless the path ends with a slash.
///
/// # Errors
/// [`Error::NoSuchPath`] or the kernel's refusal.
pub fn locate(root: BorrowedFd<'_>, path: &str) -> Result<Located> {
    let (clean, ending) = clean(path);
    let missing = |source| missing(path, source);
    let name = clean.file_name().map(OsStr::to_owned);
    let shown = match (&name, ending) {
        (_, Ending::Dot) => OsString::from("."),
        (None, _) => OsString::from("/"),
        (Some(name), _) => name.clone(),
    };
    match (name, ending) {
        (Some(name), Ending::Name) => {
            let parent = clean.parent().unwrap_or(Path::new("/"));
            let directory = open(root, parent, OFlags::PATH | OFlags::DIRECTORY).map_err(missing)?;
            let name = CString::new(name.as_bytes()).map_err(|_| missing(Errno::NOENT))?;
            let stat = rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(missing)?;
            let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
            let link_target = if is_link { resolve(root, &clean).display().to_string() } else { String::new() };
            Ok(Located { directory, name: Some(name), shown, stat, link_target })
        }
        _ => {
            let directory = open(root, &clean, OFlags::RDONLY | OFlags::DIRECTORY).map_err(missing)?;
            let stat = rustix::fs::fstat(&directory).map_err(missing)?;
            Ok(Located { directory, name: None, shown, stat, link_target: String::new() })
        }
    }
}

impl Located {
    /// About what was found.
    #[must_use]
    pub fn stat(&self) -> PathStat {
        PathStat {
            name: self.shown.to_string_lossy().into_owned(),
            size: self.stat.st_size,
            mode: self.stat.st_mode,
            modified: (self.stat.st_mtime, u32::try_from(self.stat.st_mtime_nsec).unwrap_or(0)),
            link_target: self.link_target.clone(),
        }
    }

    /// Writes it as a tar archive, with everything in it.
    ///
    /// # Errors
    /// The file system's refusal, or [`Error::Stream`] when `writer` fails.
    pub fn pack(&self, writer: &mut (dyn Write + Send), shift: Option<Shift>) -> Result<()> {
        let mut packer = Packer::new(writer, Content::Files, shift);
        let shown = self.shown.as_bytes();
        match &self.name {
            Some(name) => packer.entry(self.directory.as_fd(), name, shown, true)?,
            None => packer.directory(self.directory.as_fd(), &self.stat, shown, true)?,
        }
        packer.finish()
    }
}

/// Finds the directory to extract into; links are followed.
///
/// # Errors
/// [`Error::NoSuchPath`], [`Error::ExtractionPoint`], or the kernel's refusal.
pub fn destination(root: BorrowedFd<'_>, path: &str) -> Result<Destination> {
    let (clean, _) = clean(path);
    let found = open(root, &clean, OFlags::PATH).map_err(|source| missing(path, source))?;
    let stat = rustix::fs::fstat(&found).map_err(|source| missing(path, source))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Error::ExtractionPoint);
    }
    Ok(Destination { directory: found, path: resolve(root, &clean) })
}

/// Extracts a tar archive, plain or compressed. What was extracted before a failure stays.
///
/// # Errors
/// [`Error::Archive`] for a bad archive, or the file system's refusal.
pub fn extract(root: BorrowedFd<'_>, destination: &Destination, options: Extract, reader: &mut dyn Read) -> Result<()> {
    let base = &destination.path;
    let live = Live { root, directory: destination.directory.as_fd(), base, options };
    let (_, mut plain) = decompress_any(reader)?;
    unpack_live(&mut plain, live).map_err(|error| below(base, error))?;
    drain(&mut plain).map_err(stream_error)
}

/// Tells paths as the container knows them.
fn below(base: &Path, error: Error) -> Error {
    let full = |path: &Path| base.join(path.strip_prefix("/").unwrap_or(path)).display().to_string();
    match error {
        Error::Io { action, path, source } => Error::InContainer { action, path: full(&path), reason: source },
        Error::Archive(ArchiveProblem::Escape(name)) => {
            Error::Archive(ArchiveProblem::Outside { name, base: base.display().to_string() })
        }
        other => other,
    }
}

/// Opens a path below the root. Renames on the way make the kernel ask to try again.
fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut attempts = ATTEMPTS;
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), IN_CONTAINER) {
            Err(Errno::AGAIN) if attempts > 0 => attempts -= 1,
            opened => return opened,
        }
    }
}

fn missing(path: &str, source: Errno) -> Error {
    match source {
        Errno::NOENT => Error::NoSuchPath,
        source => Error::InContainer { action: "lstat", path: path.to_owned(), reason: source.into() },
    }
}

/// The absolute path that is meant, without dots (taken away before links are looked at, as Docker does).
fn clean(path: &str) -> (PathBuf, Ending) {
    let mut clean = PathBuf::from("/");
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(clean.pop()),
            name => clean.push(name),
        }
    }
    let ending = if path == "." || path.ends_with("/.") {
        Ending::Dot
    } else if path.ends_with('/') {
        Ending::Slash
    } else {
        Ending::Name
    };
    (clean, ending)
}

/// The path without links, as a text: for messages and policies, never to be opened. What is not there counts as it
/// is written.
pub(crate) fn resolve(root: BorrowedFd<'_>, path: &Path) -> PathBuf {
    let words = |path: &Path| -> VecDeque<OsString> { path.iter().map(OsStr::to_owned).collect() };
    let (mut pending, mut done, mut links) = (words(path), PathBuf::from("/"), 0);
    while let Some(word) = pending.pop_front() {
        match word.as_bytes() {
            b"/" => done = PathBuf::from("/"),
            b".." => drop(done.pop()),
            b"." => {}
            _ => match link_at(root, &done, &word) {
                Some(target) if links < MAX_LINKS => {
                    links += 1;
                    let mut next = words(&target);
                    next.append(&mut pending);
                    pending = next;
                }
                _ => done.push(word),
            },
        }
    }
    done
}

fn link_at(root: BorrowedFd<'_>, directory: &Path, name: &OsStr) -> Option<PathBuf> {
    let directory = open(root, directory, OFlags::PATH | OFlags::DIRECTORY).ok()?;
    let target = rustix::fs::readlinkat(&directory, name, Vec::new()).ok()?;
    Some(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_docker_reads_them() {
        for (path, expected) in [
            ("a/b", ("/a/b", Ending::Name)),
            ("/a/../b/", ("/b", Ending::Slash)),
            ("/a/.", ("/a", Ending::Dot)),
            (".", ("/", Ending::Dot)),
            ("/", ("/", Ending::Slash)),
            ("../..", ("/", Ending::Name)),
        ] {
            let (clean, ending) = clean(path);
            assert_eq!((clean.to_str().expect("text"), ending), expected, "{path}");
        }
    }

    #[test]
    fn links_are_resolved_below_the_root() {
        let directory = std::env::temp_dir().join(format!("store-files-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("d/sub")).expect("mkdir");
        for (target, name) in [("/d", "ld"), ("d/sub", "rel"), ("/nowhere/x", "dangling"), ("../../../../d", "up")] {
            std::os::unix::fs::symlink(target, directory.join(name)).expect("symlink");
        }
        std::os::unix::fs::symlink("loop", directory.join("loop")).expect("symlink");
        let root = rustix::fs::open(&directory, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("open");
        for (path, expected) in [
            ("/ld", "/d"),
            ("/rel", "/d/sub"),
            ("/dangling", "/nowhere/x"),
            ("/up/sub", "/d/sub"),
            ("/no/such", "/no/such"),
        ] {
            assert_eq!(resolve(root.as_fd(), Path::new(path)), Path::new(expected), "{path}");
        }
        assert_eq!(resolve(root.as_fd(), Path::new("/loop")), Path::new("/loop"));
        let stat = locate(root.as_fd(), "/ld").expect("there").stat();
        assert_eq!((stat.name.as_str(), stat.link_target.as_str()), ("ld", "/d"));
        assert_eq!(locate(root.as_fd(), "/ld/").expect("there").stat().link_target, "");
        assert!(matches!(locate(root.as_fd(), "/etc"), Err(Error::NoSuchPath)));
        std::fs::remove_dir_all(&directory).expect("cleanup");
    }
}
