//! The directories that entries lie in.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::attributes::{Attributes, set_xattr};
use super::{Unpacker, Whiteouts, inside};
use crate::error::ArchiveProblem;
use crate::{Error, Result};

/// Hides what the layers below have in a directory.
pub(super) const OPAQUE: &std::ffi::CStr = c"trusted.overlay.opaque";

impl Unpacker<'_> {
    /// Opens a directory below the root; links on the way are followed as the container would follow them.
    pub(super) fn open_directory(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if let Some(live) = &self.live {
            return live.open_directory(path);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve)
    }

    /// The directory of an entry, made when the archive has not described it.
    pub(super) fn parent(&mut self, path: &Path) -> Result<BorrowedFd<'_>> {
        let known = self.parent.as_ref().is_some_and(|(known, _)| known == path);
        if !known {
            let directory = match self.open_directory(path) {
                Ok(directory) => directory,
                Err(Errno::NOENT | Errno::NOTDIR) => self.make_parents(path)?,
                Err(source) => return Err(Error::io("mkdir", inside(path), source)),
            };
            self.parent = Some((path.to_owned(), directory));
        }
        match &self.parent {
            Some((_, directory)) => Ok(directory.as_fd()),
            None => Ok(self.root.as_fd()),
        }
    }

    fn make_parents(&mut self, path: &Path) -> Result<OwnedFd> {
        let mut so_far = std::path::PathBuf::new();
        let mut directory = self.open_directory(&so_far).map_err(|source| Error::io("open", "/", source))?;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            so_far.push(name);
            directory = match self.open_directory(&so_far) {
                Ok(next) => next,
                Err(Errno::NOENT | Errno::NOTDIR) => {
                    let mut attributes = Attributes::implied();
                    match &self.live {
                        Some(live) => live.own(&mut attributes)?,
                        None => drop(self.tree.implied.insert(so_far.clone())),
                    }
                    // A file or a dangling link in the place of a parent stays: the archive contradicts itself.
                    only_whiteout(directory.as_fd(), name)
                        .and_then(|()| make_directory(directory.as_fd(), name, &attributes, self.target.whiteouts))
                        .and_then(|()| self.open_directory(&so_far))
                        .map_err(|source| Error::io("mkdir", inside(&so_far), source))?
                }
                Err(source) => return Err(Error::io("mkdir", inside(&so_far), source)),
            };
        }
        Ok(directory)
    }
}

/// Makes `name` a directory. A directory that is there stays, anything else gives way; what a whiteout hid
/// stays hidden.
pub(super) fn make_directory(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    attributes: &Attributes,
    whiteouts: Whiteouts,
) -> Result<(), Errno> {
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    let mut opaque = false;
    match rustix::fs::mkdirat(parent, &name, Mode::RWXU) {
        Ok(()) => {}
        Err(Errno::EXIST) => {
            let stat = rustix::fs::statat(parent, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind != FileType::Directory {
                opaque = whiteouts == Whiteouts::Overlay && is_whiteout(kind, stat.st_rdev);
                rustix::fs::unlinkat(parent, &name, AtFlags::empty())?;
                rustix::fs::mkdirat(parent, &name, Mode::RWXU)?;
            }
        }
        Err(errno) => return Err(errno),
    }
    if opaque {
        set_xattr(parent, &name, OPAQUE, b"y")?;
    }
    attributes.apply(parent, &name, FileType::Directory)
}

/// Whether a name is free, or holds nothing but a mark.
fn only_whiteout(parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Ok(stat) if is_whiteout(FileType::from_raw_mode(stat.st_mode), stat.st_rdev) => Ok(()),
        Ok(_) => Err(Errno::NOTDIR),
        Err(errno) => Err(errno),
    }
}

/// Overlay's mark for "not here".
pub(super) fn is_whiteout(kind: FileType, device: u64) -> bool {
    kind == FileType::CharacterDevice && device == 0
}

/// Splits a path that is not the root.
pub(super) fn split(path: &Path) -> Result<(&Path, &OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(Error::Archive(ArchiveProblem::Escape(path.display().to_string()))),
    }
}
