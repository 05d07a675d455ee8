//! Copies directory trees with everything: owners, modes, times, links, devices, extended attributes.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::copy_content::copy_content;
use crate::{Error, Result};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Which extended attributes belong to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Xattrs {
    /// Those that images have: without overlay's own and without access lists.
    Portable,
    /// With access lists, without overlay's own, which say something about layers.
    Copied,
    /// All of a volume's files; somebody may keep overlay's layers in it.
    All,
}

/// Copies what is in `from` into the directory `to`, and the attributes of `from` itself.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    copy_paths(from, to, Xattrs::Copied)
}

/// The same of a volume: nothing that its files have means anything to us.
pub(crate) fn copy_volume(from: &Path, to: &Path) -> Result<()> {
    copy_paths(from, to, Xattrs::All)
}

fn copy_paths(from: &Path, to: &Path, kept: Xattrs) -> Result<()> {
    let open = |path: &Path| {
        rustix::fs::open(path, DIRECTORY, Mode::empty()).map_err(|source| Error::io("open", path, source))
    };
    let (from, target) = (open(from)?, open(to)?);
    let root = target.try_clone().map_err(|source| Error::io("dup", to, source))?;
    Copier { links: HashMap::new(), root, kept }.directory(from.as_fd(), target.as_fd(), to, &PathBuf::new())
}

/// The same for open directories; `shown` names the target in messages.
pub(crate) fn copy_directory(from: BorrowedFd<'_>, to: BorrowedFd<'_>, shown: &Path) -> Result<()> {
    let root = to.try_clone_to_owned().map_err(|source| Error::io("dup", shown, source))?;
    Copier { links: HashMap::new(), root, kept: Xattrs::Copied }.directory(from, to, shown, &PathBuf::new())
}

// === impl Xattrs ===

impl Xattrs {
    fn has(self, name: &[u8]) -> bool {
        // What else the file system shows under `system.` is its own affair.
        match name.strip_prefix(b"system.") {
            Some(rest) => self != Self::Portable && rest.starts_with(b"posix_acl_"),
            None => self == Self::All || !name.starts_with(b"trusted.overlay."),
        }
    }
}

struct Copier {
    /// Where the first name of a file with several went, relative to the root.
    links: HashMap<(u64, u64), PathBuf>,
    root: OwnedFd,
    kept: Xattrs,
}

impl Copier {
    fn directory(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, shown: &Path, relative: &Path) -> Result<()> {
        let listing = |source| Error::io("readdir", shown, source);
        for entry in Dir::read_from(from).map_err(listing)? {
            let name = entry.map_err(listing)?.file_name().to_owned();
            if !matches!(name.to_bytes(), b"." | b"..") {
                let os_name = std::ffi::OsStr::from_bytes(name.to_bytes());
                self.entry(from, to, &name, &shown.join(os_name), &relative.join(os_name))?;
            }
        }
        let failed = |source| Error::io("chmod", shown, source);
        let stat = rustix::fs::fstat(from).map_err(failed)?;
        copy_xattrs(from, c"", to, c"", self.kept).map_err(failed)?;
        rustix::fs::fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid))).map_err(failed)?;
        rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode)).map_err(failed)?;
        rustix::fs::futimens(to, &times(&stat)).map_err(failed)
    }

    fn entry(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        shown: &Path,
        relative: &Path,
    ) -> Result<()> {
        let failed = |source| Error::io("copy", shown, source);
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            let source = rustix::fs::openat(from, name, DIRECTORY, Mode::empty()).map_err(failed)?;
            match rustix::fs::mkdirat(to, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
            let target = rustix::fs::openat(to, name, DIRECTORY, Mode::empty()).map_err(failed)?;
            return self.directory(source.as_fd(), target.as_fd(), shown, relative);
        }
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                return rustix::fs::linkat(&self.root, first, to, name, AtFlags::empty()).map_err(failed);
            }
            self.links.insert((stat.st_dev, stat.st_ino), relative.to_owned());
        }
        match kind {
            FileType::RegularFile => copy_file(from, to, name).map_err(|source| Error::io("write", shown, source))?,
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(from, name, Vec::new()).map_err(failed)?;
                rustix::fs::symlinkat(link, to, name).map_err(failed)?;
            }
            // A socket without its owner is of no use to anybody.
            FileType::Socket => return Ok(()),
            _ => {
                let mode = Mode::from_raw_mode(stat.st_mode);
                rustix::fs::mknodat(to, name, kind, mode, stat.st_rdev).map_err(failed)?;
            }
        }
        finish(from, to, name, &stat, self.kept).map_err(failed)
    }
}

fn finish(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, stat: &Stat, kept: Xattrs) -> Result<(), Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::chownat(to, name, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)), flags)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        rustix::fs::chmodat(to, name, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())?;
    }
    copy_xattrs(from, name, to, name, kept)?;
    rustix::fs::utimensat(to, name, &times(stat), flags)
}

fn copy_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> std::io::Result<()> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut source = File::from(rustix::fs::openat(from, name, read, Mode::empty())?);
    let mut target = File::from(rustix::fs::openat(to, name, write, Mode::RUSR | Mode::WUSR)?);
    copy_content(&mut source, &mut target)
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds: i64, nanos: u64| Timespec { tv_sec: seconds, tv_nsec: nanos.cast_signed() };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Copies extended attributes. File systems without attributes are no error.
fn copy_xattrs(
    from: BorrowedFd<'_>,
    name: &CStr,
    to: BorrowedFd<'_>,
    target: &CStr,
    kept: Xattrs,
) -> Result<(), Errno> {
    let (from, to) = (proc_path(from, name), proc_path(to, target));
    for key in list_xattrs(&from, kept)? {
        let Some(value) = read_xattr(&from, &key)? else { continue };
        match rustix::fs::lsetxattr(&to, &key, &value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A path that names an entry of an open directory without resolving anything on the way to it.
pub(crate) fn proc_path(directory: BorrowedFd<'_>, name: &CStr) -> PathBuf {
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    // An empty name is the directory itself; the dot makes the last component no link.
    path.push(std::ffi::OsStr::from_bytes(if name.is_empty() { b"." } else { name.to_bytes() }));
    path
}

/// Names of extended attributes.
pub(crate) fn list_xattrs(path: &Path, kept: Xattrs) -> Result<Vec<CString>, Errno> {
    let mut buffer = vec![0u8; 1024];
    let length = loop {
        match rustix::fs::llistxattr(path, &mut buffer[..]) {
            Ok(length) => break length,
            Err(Errno::RANGE) => buffer.resize(buffer.len() * 8, 0),
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        }
    };
    Ok(buffer[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty() && kept.has(name))
        .filter_map(|name| CString::new(name).ok())
        .collect())
}

/// The value of an attribute; `None` when it has gone.
pub(crate) fn read_xattr(path: &Path, key: &CStr) -> Result<Option<Vec<u8>>, Errno> {
    let mut value = vec![0u8; 256];
    loop {
        match rustix::fs::lgetxattr(path, key, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                return Ok(Some(value));
            }
            Err(Errno::RANGE) => value.resize(value.len() * 16, 0),
            Err(Errno::NODATA) => return Ok(None),
            Err(errno) => return Err(errno),
        }
    }
}

/// All attributes of an open file, without overlay's own.
pub(crate) fn file_xattrs(file: BorrowedFd<'_>) -> Result<Vec<(CString, Vec<u8>)>, Errno> {
    // Through the link that /proc has for it, which is followed here: what is open is what is meant.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut buffer = vec![0u8; 64 << 10];
    let length = match rustix::fs::listxattr(&path, &mut buffer[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    };
    let names = buffer[..length].split(|byte| *byte == 0).filter_map(|name| CString::new(name).ok());
    let own = |name: &CString| !name.is_empty() && Xattrs::Portable.has(name.to_bytes());
    let mut found = Vec::new();
    // As long as attributes can be (xattr(7)).
    let mut value = vec![0u8; 64 << 10];
    for name in names.filter(own) {
        match rustix::fs::getxattr(&path, &name, &mut value[..]) {
            Ok(length) => found.push((name, value[..length].to_vec())),
            Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(found)
}
