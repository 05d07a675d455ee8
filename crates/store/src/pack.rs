//! Writes directory trees as tar archives: for `export`, `cp` and `commit`. Works on descriptors only, so that nobody
//! who changes the tree meanwhile can lead it elsewhere.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use tar::EntryType;

use crate::copy::{Xattrs, file_xattrs, list_xattrs, proc_path, read_xattr};
use crate::error::ArchiveProblem;
use crate::pack_sparse::Holes;
use crate::shift::Shift;
use crate::{Error, Result};

/// Record that carries an extended attribute; the convention of star(1), which GNU tar and Docker follow.
const XATTR_RECORD: &str = "SCHILY.xattr.";
/// Attributes that belong to this machine's policy and mean nothing elsewhere.
const LOCAL_XATTRS: [&[u8]; 3] = [b"security.selinux", b"security.ima", b"security.evm"];
/// The longest name that fits into a header.
const NAME: usize = 100;

/// What a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Plain files.
    Files,
    /// A writable layer of the overlay driver: its marks become whiteouts.
    OverlayLayer,
    /// Plain files that become a layer, where some names mean something else.
    NewLayer,
    /// The files of a volume, with everything they have: all attributes, times to the nanosecond, holes.
    Volume,
}

/// An archive being written.
pub(crate) struct Packer<'a> {
    archive: tar::Builder<&'a mut (dyn Write + Send)>,
    content: Content,
    shift: Option<Shift>,
    /// In place of what files have: owner and group, permissions.
    owner: Option<(u32, u32)>,
    mode: Option<u32>,
    /// The first name of a file with several.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(writer: &'a mut (dyn Write + Send), content: Content, shift: Option<Shift>) -> Self {
        Self { archive: tar::Builder::new(writer), content, shift, owner: None, mode: None, links: HashMap::new() }
    }

    /// What the following entries have in place of their own owner and permissions.
    pub(crate) fn set_override(&mut self, owner: Option<(u32, u32)>, mode: Option<u32>) {
        (self.owner, self.mode) = (owner, mode);
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.archive.finish().map_err(Error::Stream)
    }

    /// Writes everything in a directory, each name behind `prefix` (empty, or with a slash at its end).
    pub(crate) fn children(&mut self, directory: BorrowedFd<'_>, prefix: &[u8]) -> Result<()> {
        let listing = |source| failed("readdir", prefix, source);
        let mut names: Vec<CString> = Vec::new();
        for entry in Dir::read_from(directory).map_err(listing)? {
            let name = entry.map_err(listing)?.file_name().to_owned();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        names.sort();
        names.iter().try_for_each(|name| self.entry(directory, name, &[prefix, name.to_bytes()].concat(), true))
    }

    /// Writes one entry of a directory under another name, and with `recursive` what is below it.
    pub(crate) fn entry(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &CStr,
        shown: &[u8],
        recursive: bool,
    ) -> Result<()> {
        let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            // The container is at work.
            Err(Errno::NOENT) => return Ok(()),
            stat => stat.map_err(|source| failed("lstat", shown, source))?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if self.content == Content::NewLayer && name.to_bytes().starts_with(b".wh.") {
            return Err(reserved(shown));
        }
        if self.content == Content::OverlayLayer && kind == FileType::CharacterDevice && stat.st_rdev == 0 {
            return self.removed(shown);
        }
        let mut header = self.header(&stat);
        if kind != FileType::Directory && stat.st_nlink > 1 {
            let inode = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&inode).cloned() {
                header.set_entry_type(EntryType::Link);
                return self.append(header, shown, &first, &[], io::empty());
            }
            self.links.insert(inode, shown.to_owned());
        }
        match kind {
            // Without its owner it is of no use to anybody.
            FileType::Socket => Ok(()),
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match rustix::fs::openat(directory, name, flags, Mode::empty()) {
                    Ok(opened) => self.directory(opened.as_fd(), &stat, shown, recursive),
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
                    Err(source) => Err(failed("open", shown, source)),
                }
            }
            FileType::RegularFile => self.file(directory, name, header, shown, &stat),
            FileType::Symlink => {
                header.set_entry_type(EntryType::Symlink);
                let target = match rustix::fs::readlinkat(directory, name, Vec::new()) {
                    Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
                    target => target.map_err(|source| failed("readlink", shown, source))?,
                };
                let xattrs = self.records(directory, name, &stat, shown)?;
                self.append(header, shown, target.to_bytes(), &xattrs, io::empty())
            }
            _ => {
                set_device(&mut header, kind, &stat).map_err(Error::Stream)?;
                let xattrs = self.records(directory, name, &stat, shown)?;
                self.append(header, shown, &[], &xattrs, io::empty())
            }
        }
    }

    /// Writes an open directory under a name, and with `recursive` what is below it.
    pub(crate) fn directory(
        &mut self,
        directory: BorrowedFd<'_>,
        stat: &Stat,
        shown: &[u8],
        recursive: bool,
    ) -> Result<()> {
        let mut header = self.header(stat);
        header.set_entry_type(EntryType::Directory);
        let prefix = if shown.ends_with(b"/") { shown.to_owned() } else { [shown, b"/"].concat() };
        let xattrs = self.records(directory, c"", stat, shown)?;
        self.append(header.clone(), &prefix, &[], &xattrs, io::empty())?;
        if self.content == Content::OverlayLayer && opaque(directory, shown)? {
            header.set_entry_type(EntryType::Regular);
            self.append(header, &[&prefix[..], b".wh..wh..opq"].concat(), &[], &[], io::empty())?;
        }
        if recursive { self.children(directory, &prefix) } else { Ok(()) }
    }

    /// Writes that a name of the layers below is gone.
    pub(crate) fn removed(&mut self, path: &[u8]) -> Result<()> {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => path.split_at(at + 1),
            None => (&b""[..], path),
        };
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(0);
        header.set_entry_type(EntryType::Regular);
        self.append(header, &[parent, b".wh.", name].concat(), &[], &[], io::empty())
    }

    fn file(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &CStr,
        mut header: tar::Header,
        shown: &[u8],
        stat: &Stat,
    ) -> Result<()> {
        let content = match open_regular(directory, name) {
            Ok(Some(file)) => file,
            // Something else stands there by now, or nothing.
            Ok(None) | Err(Errno::NOENT) => return Ok(()),
            Err(source) => return Err(failed("open", shown, source)),
        };
        if self.content == Content::OverlayLayer && has_xattr(directory, name, c"trusted.overlay.metacopy") {
            return Err(Error::Redirected(String::from_utf8_lossy(shown).into_owned()));
        }
        header.set_entry_type(EntryType::Regular);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        header.set_size(size);
        let mut xattrs = self.records(directory, name, stat, shown)?;
        if self.content == Content::Volume {
            let holes = Holes::of(&content, size, u64::try_from(stat.st_blocks).unwrap_or(0));
            if let Some(holes) = holes.map_err(|source| failed("lseek", shown, source))? {
                xattrs.extend(holes.records(shown));
                let (stored, content) = holes.content(&content);
                header.set_size(stored);
                return self.append(header, &Holes::placeholder(shown), &[], &xattrs, content);
            }
        }
        // A file that shrinks meanwhile is filled up, one that grows is cut.
        self.append(header, shown, &[], &xattrs, content.chain(io::repeat(0)).take(size))
    }

    /// Writes something that is open (as a path), no directory, under a name.
    pub(crate) fn found(&mut self, file: &std::os::fd::OwnedFd, stat: &Stat, shown: &[u8]) -> Result<()> {
        if shown.split(|byte| *byte == b'/').any(|part| part.starts_with(b".wh.")) {
            return Err(reserved(shown));
        }
        let mut header = self.header(stat);
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::RegularFile => {
                let found = file_xattrs(file.as_fd()).map_err(|source| failed("listxattr", shown, source))?;
                let records = found.into_iter().filter(|(key, _)| !LOCAL_XATTRS.contains(&key.to_bytes()));
                let records = records.map(|(key, value)| (format!("{XATTR_RECORD}{}", key.to_string_lossy()), value));
                let xattrs: Vec<_> = records.collect();
                let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                let content = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .map_err(|source| failed("open", shown, source))?;
                header.set_entry_type(EntryType::Regular);
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                header.set_size(size);
                self.append(header, shown, &[], &xattrs, File::from(content).chain(io::repeat(0)).take(size))
            }
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
                set_device(&mut header, kind, stat).map_err(Error::Stream)?;
                self.append(header, shown, &[], &[], io::empty())
            }
            // Without its owner a socket is of no use to anybody.
            _ => Ok(()),
        }
    }

    /// What an entry has besides what its header says.
    fn records(
        &self,
        directory: BorrowedFd<'_>,
        name: &CStr,
        stat: &Stat,
        shown: &[u8],
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let path = proc_path(directory, name);
        let gone = |error: Errno| if error == Errno::NOENT { Ok(Vec::new()) } else { Err(error) };
        let mut records = Vec::new();
        if self.content == Content::Volume {
            records.extend(exact_time(stat));
        }
        let kept = if self.content == Content::Volume { Xattrs::All } else { Xattrs::Portable };
        for key in list_xattrs(&path, kept).or_else(gone).map_err(|source| failed("listxattr", shown, source))? {
            if LOCAL_XATTRS.contains(&key.to_bytes()) {
                continue;
            }
            match read_xattr(&path, &key) {
                Ok(Some(value)) => records.push((format!("{XATTR_RECORD}{}", key.to_string_lossy()), value)),
                Ok(None) | Err(Errno::NOENT) => {}
                Err(source) => return Err(failed("getxattr", shown, source)),
            }
        }
        Ok(records)
    }

    fn header(&self, stat: &Stat) -> tar::Header {
        let (uid, gid) = match self.shift {
            Some(shift) => shift.to_container(stat.st_uid, stat.st_gid),
            None => (stat.st_uid, stat.st_gid),
        };
        let (uid, gid) = self.owner.unwrap_or((uid, gid));
        let mut header = match self.content {
            // GNU tar reads holes in POSIX's form only.
            Content::Volume => tar::Header::new_ustar(),
            _ => tar::Header::new_gnu(),
        };
        header.set_mode(self.mode.unwrap_or(stat.st_mode) & 0o7777);
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
        header.set_size(0);
        header
    }

    /// Writes a header, before it the records of what does not fit in, and the content. The name is written as it is.
    pub(crate) fn append(
        &mut self,
        mut header: tar::Header,
        name: &[u8],
        link: &[u8],
        xattrs: &[(String, Vec<u8>)],
        content: impl io::Read,
    ) -> Result<()> {
        let mut records: Vec<(&str, &[u8])> = Vec::new();
        let fields = [("path", name), ("linkpath", link)];
        records.extend(fields.into_iter().filter(|(_, value)| value.len() > NAME));
        records.extend(xattrs.iter().map(|(key, value)| (key.as_str(), value.as_slice())));
        if !records.is_empty() {
            self.archive.append_pax_extensions(records).map_err(Error::Stream)?;
        }
        let raw = header.as_old_mut();
        fill(&mut raw.name, name);
        fill(&mut raw.linkname, link);
        header.set_cksum();
        self.archive.append(&header, content).map_err(Error::Stream)
    }
}

/// The time of last modification where a header, which has whole seconds since 1970, is too coarse for it.
fn exact_time(stat: &Stat) -> Option<(String, Vec<u8>)> {
    let (seconds, nanos) = (stat.st_mtime, stat.st_mtime_nsec);
    let text = match (seconds, nanos) {
        (0.., 0) => return None,
        // The fraction counts away from zero.
        (..0, 1..) => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos),
        _ => format!("{seconds}.{nanos:09}"),
    };
    Some(("mtime".to_owned(), text.into_bytes()))
}

fn fill(field: &mut [u8; NAME], value: &[u8]) {
    let count = value.len().min(NAME);
    field[..count].copy_from_slice(&value[..count]);
}

/// The error of a file that would hide another one once it is in a layer.
pub(crate) fn reserved(shown: &[u8]) -> Error {
    let name = String::from_utf8_lossy(shown).into_owned();
    Error::Archive(ArchiveProblem::Malformed(format!("{name}: names that begin with .wh. mean removal in a layer")))
}

fn failed(action: &'static str, shown: &[u8], source: Errno) -> Error {
    Error::io(action, Path::new("/").join(std::ffi::OsStr::from_bytes(shown)), source)
}

/// Opens a regular file for reading; nothing else is ever opened, since to open a device or a pipe has effects.
fn open_regular(directory: BorrowedFd<'_>, name: &CStr) -> Result<Option<File>, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    Ok(Some(File::from(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)))
}

/// Whether a directory of a writable layer hides what the layers below have in it.
fn opaque(directory: BorrowedFd<'_>, shown: &[u8]) -> Result<bool> {
    if has_xattr(directory, c"", c"trusted.overlay.redirect") {
        // Its content is in the layers below, under another name.
        return Err(Error::Redirected(String::from_utf8_lossy(shown).into_owned()));
    }
    let value = read_xattr(&proc_path(directory, c""), c"trusted.overlay.opaque").unwrap_or_default();
    Ok(value.as_deref() == Some(b"y"))
}

fn has_xattr(directory: BorrowedFd<'_>, name: &CStr, key: &CStr) -> bool {
    matches!(read_xattr(&proc_path(directory, name), key), Ok(Some(_)))
}

fn set_device(header: &mut tar::Header, kind: FileType, stat: &Stat) -> io::Result<()> {
    header.set_entry_type(match kind {
        FileType::CharacterDevice => EntryType::Char,
        FileType::BlockDevice => EntryType::Block,
        _ => EntryType::Fifo,
    });
    header.set_device_major(rustix::fs::major(stat.st_rdev))?;
    header.set_device_minor(rustix::fs::minor(stat.st_rdev))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_headers_cannot_have_are_records() {
        let mut stat = rustix::fs::stat("/").expect("the root");
        for (seconds, nanos, expected) in [
            (12, 0, None),
            (12, 5, Some("12.000000005")),
            (0, 500_000_000, Some("0.500000000")),
            (-1, 500_000_000, Some("-0.500000000")),
            (-5, 250_000_000, Some("-4.750000000")),
            (-5, 0, Some("-5.000000000")),
        ] {
            (stat.st_mtime, stat.st_mtime_nsec) = (seconds, nanos);
            let text = exact_time(&stat).map(|(_, value)| String::from_utf8(value).expect("text"));
            assert_eq!(text.as_deref(), expected);
        }
    }
}
