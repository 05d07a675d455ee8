//! A container's files onto the local file system. What comes is not trusted: no name and no link leads out of the
//! directory that is extracted into.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use tar::{Entry, EntryType};

use super::{Rename, go_text};

/// Where and how to extract.
#[derive(Clone, Debug, Default)]
pub struct Extraction {
    /// The directory.
    pub directory: PathBuf,
    /// Name changes, in order.
    pub renames: Vec<Rename>,
    /// Owners are taken over; otherwise everything is ours.
    pub owners: bool,
}

struct Extractor<'a> {
    plan: &'a Extraction,
    root: OwnedFd,
    /// Directories with the times they get when nothing is written to them any more.
    directories: Vec<(PathBuf, Timespec)>,
}

/// Extracts an archive.
///
/// # Errors
/// A bad archive, or what the file system refuses, with the path.
pub fn extract(plan: &Extraction, reader: impl Read) -> Result<(), String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, &plan.directory, flags, Mode::empty())
        .map_err(|error| format!("open {}: {}", plan.directory.display(), go_text(&error.into())))?;
    let mut extractor = Extractor { plan, root, directories: Vec::new() };
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().map_err(|error| go_text(&error))? {
        extractor.entry(entry.map_err(|error| stream_text(&error))?)?;
    }
    extractor.finish();
    Ok(())
}

/// An archive that ends early is what a container leaves that vanished.
fn stream_text(error: &io::Error) -> String {
    let text = error.to_string();
    if text.contains("entire block") { "unexpected EOF".to_owned() } else { go_text(error) }
}

impl Extractor<'_> {
    fn entry(&mut self, mut entry: Entry<'_, impl Read>) -> Result<(), String> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let rename = |name: &[u8]| self.plan.renames.iter().fold(name.to_owned(), |name, rename| rename.apply(&name));
        let path = self.relative(&rename(&entry.path_bytes()))?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let shown = self.plan.directory.join(&path);
        let failed = |action: &'static str| {
            let shown = shown.display().to_string();
            move |error: io::Error| format!("{action} {shown}: {}", go_text(&error))
        };
        let directory = self.open(parent, true).map_err(|error| failed("mkdir")(error.into()))?;
        let name = CString::new(name.as_bytes()).map_err(|_| failed("open")(io::ErrorKind::InvalidInput.into()))?;
        self.make_room(directory.as_fd(), &name, kind, &shown)?;
        let xattrs = xattrs(&mut entry);
        let mode = Mode::from_raw_mode(entry.header().mode().unwrap_or(0o644) & 0o7777);
        match kind {
            EntryType::Directory => match rustix::fs::mkdirat(&directory, &name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(failed("mkdir")(error.into())),
            },
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                rustix::fs::symlinkat(&target[..], &directory, &name)
                    .map_err(|error| failed("symlink")(error.into()))?;
            }
            EntryType::Link => {
                let target = self.relative(&rename(&entry.link_name_bytes().unwrap_or_default()))?;
                return self.link(&target, directory.as_fd(), &name).map_err(|error| failed("link")(error.into()));
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                make_node(&entry, kind, directory.as_fd(), &name).map_err(failed("mknod"))?;
            }
            _ => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&directory, &name, flags, Mode::RUSR | Mode::WUSR)
                    .map_err(|error| failed("open")(error.into()))?;
                io::copy(&mut entry, &mut File::from(file)).map_err(failed("write"))?;
            }
        }
        self.finish_entry(&entry, directory.as_fd(), &name, mode, &xattrs).map_err(failed("chmod"))?;
        if kind == EntryType::Directory {
            self.directories.push((path, modified(&entry)));
        }
        Ok(())
    }

    /// A name of the archive as a path below the directory.
    fn relative(&self, name: &[u8]) -> Result<PathBuf, String> {
        let mut path = PathBuf::new();
        for component in name.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => {
                    let name = String::from_utf8_lossy(name);
                    return Err(format!("{name:?} is outside of {:?}", self.plan.directory.display().to_string()));
                }
                component => path.push(OsStr::from_bytes(component)),
            }
        }
        Ok(path)
    }

    /// Opens a directory below ours, through no link; made when it is missing.
    fn open(&self, path: &Path, make: bool) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve) {
            Err(Errno::NOENT) if make => {
                let parent = self.open(path.parent().unwrap_or(Path::new(".")), true)?;
                let name = path.file_name().ok_or(Errno::NOENT)?;
                rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
                rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve)
            }
            opened => opened,
        }
    }

    /// Directories stay directories, and nothing else becomes one; what is otherwise there gives way.
    fn make_room(
        &self,
        directory: BorrowedFd<'_>,
        name: &CString,
        kind: EntryType,
        shown: &Path,
    ) -> Result<(), String> {
        let Ok(stat) = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(()) };
        let here = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let (shown, into) = (shown.display().to_string(), self.plan.directory.display().to_string());
        match (here, kind == EntryType::Directory) {
            (true, true) => Ok(()),
            (true, false) => Err(format!("cannot overwrite directory {shown:?} with non-directory {into:?}")),
            (false, true) => Err(format!("cannot overwrite non-directory {shown:?} with directory {into:?}")),
            (false, false) => rustix::fs::unlinkat(directory, name, AtFlags::empty())
                .map_err(|error| format!("unlinkat {shown}: {}", go_text(&error.into()))),
        }
    }

    fn link(&self, target: &Path, directory: BorrowedFd<'_>, name: &CString) -> Result<(), Errno> {
        let parent = self.open(target.parent().unwrap_or(Path::new(".")), false)?;
        let target = target.file_name().ok_or(Errno::NOENT)?;
        rustix::fs::linkat(&parent, target, directory, name, AtFlags::empty())
    }

    fn finish_entry(
        &self,
        entry: &Entry<'_, impl Read>,
        directory: BorrowedFd<'_>,
        name: &CString,
        mode: Mode,
        xattrs: &[(CString, Vec<u8>)],
    ) -> io::Result<()> {
        let link = entry.header().entry_type() == EntryType::Symlink;
        if self.plan.owners {
            let id = |value: io::Result<u64>| value.map(|id| u32::try_from(id).unwrap_or(u32::MAX - 1));
            let (uid, gid) = (id(entry.header().uid())?, id(entry.header().gid())?);
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            rustix::fs::chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if link {
            return Ok(rustix::fs::utimensat(directory, name, &times(modified(entry)), AtFlags::SYMLINK_NOFOLLOW)?);
        }
        // Nobody but us writes here; the name is what we have just made.
        rustix::fs::chmodat(directory, name, mode, AtFlags::empty())?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if !xattrs.is_empty() {
            let made = rustix::fs::openat(directory, name, flags, Mode::empty())?;
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&made));
            for (key, value) in xattrs {
                match rustix::fs::setxattr(&path, key, value, rustix::fs::XattrFlags::empty()) {
                    // As Docker: not every file system has them, and not everybody may set each.
                    Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(rustix::fs::utimensat(directory, name, &times(modified(entry)), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Times of directories, innermost first.
    fn finish(self) {
        for (path, modified) in self.directories.iter().rev() {
            if let Ok(directory) = self.open(path, false) {
                // A time that cannot be set is no reason to fail when everything is there.
                let _ = rustix::fs::futimens(&directory, &times(*modified));
            }
        }
    }
}

fn make_node(
    entry: &Entry<'_, impl Read>,
    kind: EntryType,
    directory: BorrowedFd<'_>,
    name: &CString,
) -> io::Result<()> {
    let header = entry.header();
    let device = rustix::fs::makedev(header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0));
    let (kind, device) = match kind {
        EntryType::Char => (FileType::CharacterDevice, device),
        EntryType::Block => (FileType::BlockDevice, device),
        _ => (FileType::Fifo, 0),
    };
    Ok(rustix::fs::mknodat(directory, name, kind, Mode::RUSR | Mode::WUSR, device)?)
}

fn modified(entry: &Entry<'_, impl Read>) -> Timespec {
    Timespec { tv_sec: entry.header().mtime().unwrap_or(0).cast_signed(), tv_nsec: 0 }
}

fn times(modified: Timespec) -> Timestamps {
    Timestamps { last_access: modified, last_modification: modified }
}

fn xattrs(entry: &mut Entry<'_, impl Read>) -> Vec<(CString, Vec<u8>)> {
    let Ok(Some(records)) = entry.pax_extensions() else { return Vec::new() };
    let records = records.filter_map(Result::ok);
    records
        .filter_map(|record| {
            let key = record.key_bytes().strip_prefix(b"SCHILY.xattr.")?;
            let ours = key.starts_with(b"user.") || key == b"security.capability";
            Some((CString::new(key).ok().filter(|_| ours)?, record.value_bytes().to_vec()))
        })
        .collect()
}
