//! A container's whole file system as a tar archive (`docker export`).

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{Read as _, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use tar::EntryType;
use types::ContainerId;

use crate::copy::{list_xattrs, proc_path, read_xattr};
use crate::driver::Driver;
use crate::{Error, Result, Store};

type Archive<'a> = tar::Builder<&'a mut (dyn Write + Send)>;

/// Record that carries an extended attribute; the convention of star(1), which GNU tar and Docker follow.
const XATTR_RECORD: &str = "SCHILY.xattr.";

impl Store {
    /// Writes the container's file system, without what is mounted into it, as a tar archive. The container may run;
    /// a file that shrinks meanwhile is filled up with zeroes.
    ///
    /// # Errors
    /// [`Error::NoSuchContainerLayer`], the file system's refusal, or [`Error::Stream`] when `writer` fails.
    pub fn export(&self, container: &ContainerId, writer: &mut (dyn Write + Send)) -> Result<()> {
        let layer = self.container_layer(container)?;
        let work = |root: BorrowedFd<'_>| {
            let mut exporter = Exporter { archive: tar::Builder::new(writer), links: HashMap::new() };
            exporter.directory(root, Path::new(""))?;
            exporter.archive.finish().map_err(Error::Stream)
        };
        match self.0.driver {
            Driver::Vfs => self.with_rootfs(container, work)?,
            // A view that cannot be written does not disturb a container that has the same layer mounted.
            Driver::Overlay2 => {
                self.with_overlay(&format!("lowerdir={}/diff:{}", layer.slot.id, layer.slot.lower), work)?
            }
        }
    }
}

struct Exporter<'a> {
    archive: Archive<'a>,
    /// The first name of a file with several.
    links: HashMap<(u64, u64), PathBuf>,
}

impl Exporter<'_> {
    fn directory(&mut self, directory: BorrowedFd<'_>, path: &Path) -> Result<()> {
        let listing = |source| Error::io("readdir", path, source);
        let mut names: Vec<CString> = Vec::new();
        for entry in Dir::read_from(directory).map_err(listing)? {
            let name = entry.map_err(listing)?.file_name().to_owned();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        names.sort();
        names.iter().try_for_each(|name| self.entry(directory, name, &path.join(OsStr::from_bytes(name.to_bytes()))))
    }

    fn entry(&mut self, directory: BorrowedFd<'_>, name: &CStr, path: &Path) -> Result<()> {
        let failed = |source| Error::io("export", path, source);
        let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            // The container is at work.
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            stat => stat.map_err(failed)?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mut header = header(&stat);
        if kind != FileType::Directory && stat.st_nlink > 1 {
            let inode = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&inode) {
                header.set_entry_type(EntryType::Link);
                return self.archive.append_link(&mut header, path, first).map_err(Error::Stream);
            }
            self.links.insert(inode, path.to_owned());
        }
        if kind == FileType::Socket {
            return Ok(());
        }
        self.attributes(directory, name).map_err(|source| Error::io("export", path, source))?;
        let open = |flags: OFlags| {
            let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(directory, name, flags, Mode::empty()).map_err(failed)
        };
        match kind {
            FileType::Directory => {
                header.set_entry_type(EntryType::Directory);
                let slash = path.join("");
                self.archive.append_data(&mut header, slash, std::io::empty()).map_err(Error::Stream)?;
                self.directory(open(OFlags::DIRECTORY)?.as_fd(), path)
            }
            FileType::Symlink => {
                header.set_entry_type(EntryType::Symlink);
                let target = rustix::fs::readlinkat(directory, name, Vec::new()).map_err(failed)?;
                let target = Path::new(OsStr::from_bytes(target.to_bytes()));
                self.archive.append_link(&mut header, path, target).map_err(Error::Stream)
            }
            FileType::RegularFile => {
                header.set_entry_type(EntryType::Regular);
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                header.set_size(size);
                let content = File::from(open(OFlags::empty())?).chain(std::io::repeat(0)).take(size);
                self.archive.append_data(&mut header, path, content).map_err(Error::Stream)
            }
            _ => {
                set_device(&mut header, kind, &stat).map_err(Error::Stream)?;
                self.archive.append_data(&mut header, path, std::io::empty()).map_err(Error::Stream)
            }
        }
    }

    /// Writes the extended attributes of the entry that follows.
    fn attributes(&mut self, directory: BorrowedFd<'_>, name: &CStr) -> std::io::Result<()> {
        let path = proc_path(directory, name);
        let mut records = Vec::new();
        for key in list_xattrs(&path)? {
            if let Some(value) = read_xattr(&path, &key)? {
                records.push((format!("{XATTR_RECORD}{}", key.to_string_lossy()), value));
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        self.archive.append_pax_extensions(records.iter().map(|(key, value)| (key.as_str(), value.as_slice())))
    }
}

fn header(stat: &Stat) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_size(0);
    header
}

fn set_device(header: &mut tar::Header, kind: FileType, stat: &Stat) -> std::io::Result<()> {
    header.set_entry_type(match kind {
        FileType::CharacterDevice => EntryType::Char,
        FileType::BlockDevice => EntryType::Block,
        _ => EntryType::Fifo,
    });
    header.set_device_major(rustix::fs::major(stat.st_rdev))?;
    header.set_device_minor(rustix::fs::minor(stat.st_rdev))
}
