//! One entry of the archive.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use tar::EntryType;

use super::attributes::{Attributes, set_times, set_xattr};
use super::limits::SPARSE;
use super::live::{busy, check_mount};
use super::name::{Mark, clean, mark};
use super::parents::{OPAQUE, make_directory, split};
use super::{Live, Unpacker, Whiteouts, inside};
use crate::error::ArchiveProblem;
use crate::stream::{Exactly, stream_error};
use crate::{Error, Result};

impl Unpacker<'_> {
    pub(super) fn entry<R: Read>(&mut self, mut entry: tar::Entry<'_, R>) -> Result<()> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let mut path = clean(&entry.path_bytes())?;
        let mut attributes = Attributes::read(&mut entry, self.target.whiteouts == Whiteouts::Volume)?;
        if let Some(name) = attributes.sparse.as_ref().and_then(|sparse| sparse.name.as_deref()) {
            path = clean(name)?;
        }
        if path.as_os_str().is_empty() {
            return self.root_directory(kind, attributes);
        }
        let (parent, name) = split(&path)?;
        if let Some(live) = self.live {
            live.own(&mut attributes)?;
            self.make_room(&live, kind, parent, name, &path)?;
        }
        if !matches!(self.target.whiteouts, Whiteouts::Keep | Whiteouts::Volume) {
            match mark(name) {
                Mark::None => {}
                Mark::Foreign => return Ok(()),
                Mark::Nothing => return Err(Error::Archive(ArchiveProblem::Whiteout(inside(&path)))),
                Mark::Whiteout(hidden) => return self.whiteout(parent, hidden),
                Mark::Opaque => return self.opaque(parent),
            }
        }
        if self.target.whiteouts == Whiteouts::Apply {
            self.made.extend(path.ancestors().map(Path::to_owned));
        }
        match kind {
            EntryType::Directory => self.directory(&path, parent, name, attributes),
            EntryType::Link => self.hard_link(&entry, parent, name, &path),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                // Old archives mark directories only by the slash at the end.
                if entry.path_bytes().ends_with(b"/") {
                    return self.directory(&path, parent, name, attributes);
                }
                // Nobody hashes what goes into a container; zeros need no blocks there.
                let sparse = kind == EntryType::GNUSparse || self.live.is_some();
                self.file(&mut entry, parent, name, &attributes, sparse)
            }
            _ => self.node(&entry, kind, parent, name, &attributes),
        }
    }

    /// What replaced a directory changes what paths through it mean.
    fn forget_parent_when(&mut self, replaced: bool) {
        if replaced {
            self.parent = None;
        }
    }

    fn root_directory(&mut self, kind: EntryType, mut attributes: Attributes) -> Result<()> {
        if kind != EntryType::Directory {
            return Err(Error::Archive(ArchiveProblem::Escape("/".to_owned())));
        }
        let inherited = attributes.take_inherited();
        attributes.apply(&self.root, c"", FileType::Directory).map_err(|source| Error::io("chmod", "/", source))?;
        self.directories.push((PathBuf::new(), attributes.modified, inherited));
        Ok(())
    }

    fn directory(&mut self, path: &Path, parent: &Path, name: &OsStr, mut attributes: Attributes) -> Result<()> {
        let (whiteouts, inherited) = (self.target.whiteouts, attributes.take_inherited());
        make_directory(self.parent(parent)?, name, &attributes, whiteouts)
            .map_err(|source| Error::io("mkdir", inside(path), source))?;
        self.tree.implied.remove(path);
        self.directories.push((path.to_owned(), attributes.modified, inherited));
        Ok(())
    }

    fn file<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        parent: &Path,
        name: &OsStr,
        attributes: &Attributes,
        sparse: bool,
    ) -> Result<()> {
        let path = inside(&parent.join(name));
        let failed = |action| move |source: Errno| Error::io(action, path.clone(), source);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name_c = c_name(name)?;
        let made = replacing(self.parent(parent)?, &name_c, |parent| {
            rustix::fs::openat(parent, &name_c, flags, Mode::RUSR | Mode::WUSR)
        });
        let (file, replaced) = made.map_err(failed.clone()("open"))?;
        self.forget_parent_when(replaced);
        let mut file = File::from(file);
        let (stored, path) = (entry.size(), inside(&parent.join(name)));
        if self.live.is_none() && !sparse {
            self.room.take(&self.root, &path, stored)?;
        }
        let content = &mut Exactly::new(entry, stored);
        let size = match attributes.sparse.clone() {
            Some(holes) => holes.write(content, stored, &mut file, &path)?,
            None if sparse && stored > SPARSE && self.live.is_none() => {
                return Err(Error::Archive(ArchiveProblem::Malformed(format!("{}: too large", path.display()))));
            }
            None => copy(content, &mut file, &mut self.buffer, sparse, &path).map(|()| stored)?,
        };
        self.tree.size = self.tree.size.saturating_add(size);
        attributes.apply(&file, c"", FileType::RegularFile).map_err(failed.clone()("chmod"))?;
        set_times(&file, c"", attributes.modified, AtFlags::empty()).map_err(failed("lchtimes"))
    }

    fn node<R: Read>(
        &mut self,
        entry: &tar::Entry<'_, R>,
        kind: EntryType,
        parent: &Path,
        name: &OsStr,
        attributes: &Attributes,
    ) -> Result<()> {
        let path = inside(&parent.join(name));
        let header = entry.header();
        let number = |value: std::io::Result<Option<u32>>| value.map(Option::unwrap_or_default).map_err(stream_error);
        let file_type = match kind {
            EntryType::Symlink => FileType::Symlink,
            EntryType::Char => FileType::CharacterDevice,
            EntryType::Block => FileType::BlockDevice,
            EntryType::Fifo => FileType::Fifo,
            _ => return Err(Error::Archive(ArchiveProblem::Malformed("unhandled tar header type".to_owned()))),
        };
        let device = match kind {
            EntryType::Char | EntryType::Block => {
                rustix::fs::makedev(number(header.device_major())?, number(header.device_minor())?)
            }
            _ => 0,
        };
        let link = entry.link_name_bytes().unwrap_or_default().into_owned();
        let name = c_name(name)?;
        let mode = Mode::from_raw_mode(attributes.mode);
        let directory = self.parent(parent)?;
        let made = replacing(directory, &name, |parent| match file_type {
            FileType::Symlink => rustix::fs::symlinkat(&link[..], parent, &name),
            _ => rustix::fs::mknodat(parent, &name, file_type, mode, device),
        });
        let ((), replaced) = made.map_err(|source| Error::io("mknod", &path, source))?;
        attributes
            .apply(directory, &name, file_type)
            .and_then(|()| set_times(directory, &name, attributes.modified, AtFlags::SYMLINK_NOFOLLOW))
            .map_err(|source| Error::io("lchown", &path, source))?;
        self.forget_parent_when(replaced);
        Ok(())
    }

    fn hard_link<R: Read>(
        &mut self,
        entry: &tar::Entry<'_, R>,
        parent: &Path,
        name: &OsStr,
        path: &Path,
    ) -> Result<()> {
        let target = clean(&entry.link_name_bytes().unwrap_or_default())?;
        if target == path {
            return Ok(());
        }
        let (target_parent, target_name) = split(&target)?;
        let failed = |source| Error::io("link", inside(path), source);
        let target_directory = self.open_directory(target_parent).map_err(failed)?;
        let (target_name, name) = (c_name(target_name)?, c_name(name)?);
        let ((), replaced) = replacing(self.parent(parent)?, &name, |parent| {
            rustix::fs::linkat(&target_directory, &target_name, parent, &name, AtFlags::empty())
        })
        .map_err(failed)?;
        self.forget_parent_when(replaced);
        Ok(())
    }

    /// Sees to it that what is in the way of an entry may go.
    fn make_room(&mut self, live: &Live<'_>, kind: EntryType, parent: &Path, name: &OsStr, path: &Path) -> Result<()> {
        let name_c = c_name(name)?;
        let directory = self.parent(parent)?;
        live.check_kind(directory, &name_c, path, kind)?;
        let stat = rustix::fs::statat(directory, &name_c, AtFlags::SYMLINK_NOFOLLOW);
        let is_directory = stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        if is_directory && kind == EntryType::Directory {
            return Ok(());
        }
        check_mount(directory, &name_c).map_err(|source| busy(parent, name, source))?;
        // Below a directory that goes there may be a mount too: it goes with care.
        if is_directory {
            remove_with(directory, &name_c, check_mount).map_err(|source| busy(parent, name, source))?;
            self.parent = None;
        }
        Ok(())
    }

    /// Hides `name` of the layers below. What this archive itself brought under the name stays.
    fn whiteout(&mut self, parent: &Path, name: &OsStr) -> Result<()> {
        let path = parent.join(name);
        let failed = |source| Error::io("mknod", inside(&path), source);
        if self.target.whiteouts == Whiteouts::Apply {
            if self.made.contains(&path) {
                return Ok(());
            }
            let Ok(directory) = self.open_directory(parent) else { return Ok(()) };
            self.parent = None;
            return remove(directory.as_fd(), &c_name(name)?).map_err(failed);
        }
        let name = c_name(name)?;
        let directory = self.parent(parent)?;
        match rustix::fs::mknodat(directory, &name, FileType::CharacterDevice, Mode::empty(), 0) {
            Err(Errno::EXIST) => {
                let stat = rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
                let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                if is_directory { set_xattr(directory, &name, OPAQUE, b"y").map_err(failed) } else { Ok(()) }
            }
            made => made.map_err(failed),
        }
    }

    /// Hides everything that the layers below have in `directory`.
    fn opaque(&mut self, directory: &Path) -> Result<()> {
        let failed = |source| Error::io("setxattr", inside(directory), source);
        if self.target.whiteouts == Whiteouts::Overlay {
            return set_xattr(self.parent(directory)?, c"", OPAQUE, b"y").map_err(failed);
        }
        let Ok(opened) = self.open_directory(directory) else { return Ok(()) };
        self.parent = None;
        for name in names_in(opened.as_fd()).map_err(failed)? {
            if !self.made.contains(&directory.join(OsStr::from_bytes(name.to_bytes()))) {
                remove(opened.as_fd(), &name).map_err(failed)?;
            }
        }
        Ok(())
    }
}

fn c_name(name: &OsStr) -> Result<CString> {
    CString::new(name.as_bytes())
        .map_err(|_| Error::Archive(ArchiveProblem::Escape(name.to_string_lossy().into_owned())))
}

/// Copies content; with `sparse`, blocks of zeros become holes.
fn copy(reader: &mut impl Read, file: &mut File, buffer: &mut [u8], sparse: bool, path: &Path) -> Result<()> {
    let write_error = |source| Error::io("write", path, source);
    let mut length = 0;
    loop {
        let count = reader.read(buffer).map_err(stream_error)?;
        if count == 0 {
            break;
        }
        length += count as u64;
        if sparse && buffer[..count].iter().all(|byte| *byte == 0) {
            file.seek(SeekFrom::Current(i64::try_from(count).unwrap_or_default())).map_err(write_error)?;
        } else {
            file.write_all(&buffer[..count]).map_err(write_error)?;
        }
    }
    if sparse { file.set_len(length).map_err(write_error) } else { Ok(()) }
}

/// Makes something; what is in the way goes first, and then `true` comes back beside the result.
fn replacing<T>(
    parent: BorrowedFd<'_>,
    name: &CStr,
    make: impl Fn(BorrowedFd<'_>) -> Result<T, Errno>,
) -> Result<(T, bool), Errno> {
    match make(parent) {
        Err(Errno::EXIST) => {
            remove(parent, name)?;
            Ok((make(parent)?, true))
        }
        made => Ok((made?, false)),
    }
}

/// Removes a file or a whole directory; nothing there is no error.
fn remove(parent: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    remove_with(parent, name, |_, _| Ok(()))
}

/// The same, asking before each step.
fn remove_with(
    parent: BorrowedFd<'_>,
    name: &CStr,
    may: fn(BorrowedFd<'_>, &CStr) -> Result<(), Errno>,
) -> Result<(), Errno> {
    may(parent, name)?;
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    for child in names_in(directory.as_fd())? {
        remove_with(directory.as_fd(), &child, may)?;
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}

fn names_in(directory: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}
