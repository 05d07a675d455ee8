//! What is different when the tar goes into a container: it may be at work, its mounts are not ours to take away, and
//! what is there already is somebody's.

use std::ffi::{CStr, OsStr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use tar::EntryType;

use super::attributes::Attributes;
use super::{Live, inside};
use crate::error::ArchiveProblem;
use crate::view::IN_CONTAINER;
use crate::{Error, Result};

/// A path that is renamed again and again while it is resolved fails in the end.
const ATTEMPTS: usize = 64;

impl Live<'_> {
    /// Opens a directory below the one that is unpacked into: straight where no link is on the way, otherwise as the
    /// container would follow the link.
    pub(super) fn open_directory(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let straight = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(self.directory, path, flags, Mode::empty(), straight) {
            Err(Errno::LOOP) => {}
            opened => return opened,
        }
        let full = self.base.join(path);
        let mut attempts = ATTEMPTS;
        loop {
            match rustix::fs::openat2(self.root, &full, flags, Mode::empty(), IN_CONTAINER) {
                Err(Errno::AGAIN) if attempts > 0 => attempts -= 1,
                opened => return opened,
            }
        }
    }

    /// Refuses to turn a directory into something else and the other way round, when that was asked for.
    pub(super) fn check_kind(&self, parent: BorrowedFd<'_>, name: &CStr, path: &Path, kind: EntryType) -> Result<()> {
        if !self.options.keep_kinds {
            return Ok(());
        }
        let Ok(stat) = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(()) };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if is_directory == (kind == EntryType::Directory) {
            return Ok(());
        }
        let (here, there) = if is_directory { ("directory", "non-directory") } else { ("non-directory", "directory") };
        let path = self.base.join(path).display().to_string();
        let base = self.base.display().to_string();
        Err(Error::Archive(ArchiveProblem::Kind { here, path, there, base }))
    }

    /// The owner that an entry gets, in the host's numbers.
    pub(super) fn own(&self, attributes: &mut Attributes) -> Result<()> {
        let (uid, gid) = self.options.owner.unwrap_or((attributes.uid, attributes.gid));
        let mapped = match self.options.shift {
            Some(shift) => shift.to_host(uid, gid),
            None => Ok((uid, gid)),
        };
        let unmapped = |id| Error::Archive(ArchiveProblem::Unmapped(id));
        (attributes.uid, attributes.gid) = mapped.map_err(unmapped)?;
        Ok(())
    }
}

/// Refuses to take away what something is mounted on. The kernel would do so only in the mount's own namespace, and
/// elsewhere take the mount away too.
pub(super) fn check_mount(parent: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match rustix::fs::statx(parent, name, flags, StatxFlags::empty()) {
        Ok(found) if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) => Err(Errno::BUSY),
        _ => Ok(()),
    }
}

/// The error of a place that cannot be freed.
pub(super) fn busy(parent: &Path, name: &OsStr, source: Errno) -> Error {
    Error::io("unlinkat", inside(&parent.join(name)), source)
}
