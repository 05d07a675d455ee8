//! Owners, modes, times and extended attributes of what was just made.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::sparse::Sparse;
use crate::Result;
use crate::stream::stream_error;

/// Where a directory's default access list is.
pub(super) const INHERITED: &CStr = c"system.posix_acl_default";

/// What an archive says about an entry besides its content.
#[derive(Clone, Debug)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: Timespec,
    pub(super) xattrs: Vec<(CString, Vec<u8>)>,
    /// What PAX records say about holes.
    pub(super) sparse: Option<Sparse>,
}

impl Attributes {
    /// Reads a header with its PAX records; with `all`, overlay's own attributes too.
    pub(super) fn read<R: io::Read>(entry: &mut tar::Entry<'_, R>, all: bool) -> Result<Self> {
        let header = entry.header();
        let old = header.as_old();
        let id = |value: u64| u32::try_from(value).map_err(|_| stream_error(io::Error::other("id out of range")));
        let mut attributes = Self {
            mode: number(&old.mode, header.mode())? & 0o7777,
            uid: id(number(&old.uid, header.uid())?)?,
            gid: id(number(&old.gid, header.gid())?)?,
            modified: Timespec { tv_sec: number(&old.mtime, header.mtime())?.cast_signed(), tv_nsec: 0 },
            xattrs: Vec::new(),
            sparse: None,
        };
        let Some(records) = entry.pax_extensions().map_err(stream_error)? else { return Ok(attributes) };
        for record in records {
            let record = record.map_err(stream_error)?;
            let (key, value) = (record.key_bytes(), record.value_bytes());
            if key == b"mtime" {
                if let Some(time) = std::str::from_utf8(value).ok().and_then(parse_time) {
                    attributes.modified = time;
                }
            } else if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                attributes.sparse.get_or_insert_default().record(key, value)?;
            } else if let Some((name, value)) = super::guard::xattr(key, value) {
                // Overlay's own attributes from an archive would redirect look-ups in the layers below.
                if all || !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.") {
                    attributes.xattrs.extend(CString::new(name).ok().map(|name| (name, value)));
                }
            }
        }
        Ok(attributes)
    }

    /// Takes out the access list that what is made in a directory inherits.
    pub(super) fn take_inherited(&mut self) -> Option<Vec<u8>> {
        let at = self.xattrs.iter().position(|(key, _)| key.as_c_str() == INHERITED)?;
        Some(self.xattrs.remove(at).1)
    }

    /// What a directory that no entry describes gets.
    pub(super) fn implied() -> Self {
        let modified = Timespec { tv_sec: 0, tv_nsec: 0 };
        Self { mode: 0o755, uid: 0, gid: 0, modified, xattrs: Vec::new(), sparse: None }
    }

    /// Applies everything but the times to `name` in `parent`, or to `parent` itself when `name` is empty.
    /// `name` is not a symbolic link unless `kind` says so.
    pub(super) fn apply(&self, parent: impl AsFd, name: &CStr, kind: FileType) -> Result<(), Errno> {
        let parent = parent.as_fd();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags)?;
        if kind != FileType::Symlink {
            // After chown, which clears the set-id bits.
            let mode = Mode::from_raw_mode(self.mode);
            match name.is_empty() {
                true => rustix::fs::fchmod(parent, mode)?,
                false => rustix::fs::chmodat(parent, name, mode, AtFlags::empty())?,
            }
        }
        self.xattrs.iter().try_for_each(|(key, value)| set_xattr(parent, name, key, value))
    }
}

/// Gives a directory the owner and permissions of another one.
pub(crate) fn describe_directory(directory: BorrowedFd<'_>, like: &Stat) -> Result<(), Errno> {
    let attributes =
        Attributes { mode: like.st_mode & 0o7777, uid: like.st_uid, gid: like.st_gid, ..Attributes::implied() };
    attributes.apply(directory, c"", FileType::Directory)
}

/// Sets one attribute. File systems without attributes are no error, as with Docker.
pub(super) fn set_xattr(parent: impl AsFd, name: &CStr, key: &CStr, value: &[u8]) -> Result<(), Errno> {
    let parent = parent.as_fd();
    let done = if name.is_empty() {
        rustix::fs::fsetxattr(parent, key, value, XattrFlags::empty())
    } else {
        let mut path = PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd()));
        path.push(OsStr::from_bytes(name.to_bytes()));
        rustix::fs::lsetxattr(path, key, value, XattrFlags::empty())
    };
    match done {
        Err(Errno::OPNOTSUPP) => Ok(()),
        Err(Errno::PERM) if key.to_bytes().starts_with(b"user.") => Ok(()),
        other => other,
    }
}

/// Sets the time of last modification (and of access) of `name` in `parent`.
pub(super) fn set_times(parent: impl AsFd, name: &CStr, modified: Timespec, flags: AtFlags) -> Result<(), Errno> {
    let times = Timestamps { last_access: modified, last_modification: modified };
    if name.is_empty() {
        rustix::fs::futimens(parent, &times)
    } else {
        rustix::fs::utimensat(parent, name, &times, flags)
    }
}

/// A number of a header; some writers leave fields empty and mean zero.
fn number<T: Default>(field: &[u8], value: io::Result<T>) -> Result<T> {
    match field.iter().all(|byte| matches!(byte, 0 | b' ')) {
        true => Ok(T::default()),
        false => value.map_err(stream_error),
    }
}

/// PAX: seconds, perhaps with a fraction, perhaps negative.
fn parse_time(text: &str) -> Option<Timespec> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let tv_sec: i64 = seconds.parse().ok()?;
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanos: i64 = digits.parse().ok()?;
    if seconds.starts_with('-') && nanos > 0 {
        return Some(Timespec { tv_sec: tv_sec - 1, tv_nsec: 1_000_000_000 - nanos });
    }
    Some(Timespec { tv_sec, tv_nsec: nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_times_have_fractions_and_signs() {
        for (text, expected) in [
            ("12", Some((12, 0))),
            ("1700000000.5", Some((1_700_000_000, 500_000_000))),
            ("1.123456789123", Some((1, 123_456_789))),
            ("-1.25", Some((-2, 750_000_000))),
            ("x", None),
        ] {
            assert_eq!(parse_time(text).map(|t| (t.tv_sec, t.tv_nsec)), expected, "{text}");
        }
    }
}
