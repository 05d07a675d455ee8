//! Writes the content of a new layer.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tar::EntryType;

use super::sources::Found;
use crate::files::resolve;
use crate::pack::{Content, Packer, reserved};
use crate::stream::{Exactly, decompress_any, drain, lacks_padding, stream_error};
use crate::unpack::clean_name;
use crate::unpack::guard::{Guard, xattr};
use crate::{Error, Result};

/// What a new file or directory has beside its content.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    /// Permissions.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Seconds since the epoch.
    pub modified: u64,
}

/// A layer being written. Paths are absolute in the image.
pub struct LayerWriter<'a> {
    packer: Packer<'a>,
}

impl<'a> LayerWriter<'a> {
    pub(super) fn new(writer: &'a mut (dyn Write + Send)) -> Self {
        Self { packer: Packer::new(writer, Content::NewLayer, None) }
    }

    pub(super) fn finish(self) -> Result<()> {
        self.packer.finish()
    }

    /// A directory.
    ///
    /// # Errors
    /// [`Error::Stream`] when the layer cannot be written.
    pub fn directory(&mut self, path: &Path, attributes: Attributes) -> Result<()> {
        let mut header = header(attributes);
        header.set_entry_type(EntryType::Directory);
        let name = [relative(path), b"/"].concat();
        self.packer.append(header, &name, &[], &[], io::empty())
    }

    /// A file of that many bytes.
    ///
    /// # Errors
    /// [`Error::Stream`] when the layer cannot be written or `content` not be read.
    pub fn file(&mut self, path: &Path, attributes: Attributes, size: u64, content: &mut dyn Read) -> Result<()> {
        let mut header = header(attributes);
        header.set_entry_type(EntryType::Regular);
        header.set_size(size);
        self.packer.append(header, relative(path), &[], &[], content.chain(io::repeat(0)).take(size))
    }

    /// What was found: a file becomes `path`, of a directory all that is in it lands below `path`. `owner` replaces
    /// the owners, `mode` the permissions of files and directories.
    ///
    /// # Errors
    /// The file system's refusal, or [`Error::Stream`].
    pub fn copy(&mut self, found: &Found, path: &Path, owner: Option<(u32, u32)>, mode: Option<u32>) -> Result<()> {
        self.packer.set_override(owner, mode);
        let result = if found.is_directory() {
            let prefix = if path == Path::new("/") { Vec::new() } else { [relative(path), b"/"].concat() };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat(&found.file, c".", flags, Mode::empty())
                .map_err(|source| Error::io("open", &found.path, source))
                .and_then(|directory| self.packer.children(directory.as_fd(), &prefix))
        } else {
            self.packer.found(&found.file, found.stat(), relative(path))
        };
        self.packer.set_override(None, None);
        result
    }

    /// All entries of an archive, plain or compressed, below `path`. Directories on the way that are links in `root`, the
    /// image below, are followed, as unpacking into the image would.
    ///
    /// # Errors
    /// [`Error::Archive`] for a bad archive, or [`Error::Stream`].
    pub fn archive(&mut self, root: BorrowedFd<'_>, path: &Path, reader: &mut dyn Read) -> Result<()> {
        let (_, mut plain) = decompress_any(reader)?;
        let mut places = Places { root, base: path, made: HashSet::new(), known: HashMap::new() };
        let mut archive = tar::Archive::new(Guard::new(&mut plain));
        for entry in archive.entries().map_err(stream_error)? {
            match entry {
                Err(error) if lacks_padding(&error) => break,
                entry => self.entry(&mut places, entry.map_err(stream_error)?)?,
            }
        }
        drain(&mut plain).map_err(stream_error)
    }

    fn entry<R: Read>(&mut self, places: &mut Places<'_>, mut entry: tar::Entry<'_, R>) -> Result<()> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let mut own = clean_name(&entry.path_bytes())?;
        let is_directory = kind == EntryType::Directory || entry.path_bytes().ends_with(b"/");
        let mut records = Vec::new();
        if let Some(extensions) = entry.pax_extensions().map_err(stream_error)? {
            for extension in extensions {
                let extension = extension.map_err(stream_error)?;
                let Ok(key) = extension.key() else { continue };
                if key == "GNU.sparse.name" {
                    // The entry's own name is made up.
                    own = clean_name(extension.value_bytes())?;
                } else if let Some((name, value)) = xattr(extension.key_bytes(), extension.value_bytes()) {
                    records.push((format!("SCHILY.xattr.{}", String::from_utf8_lossy(&name)), value));
                } else if key.starts_with("GNU.sparse.") {
                    records.push((key.to_owned(), extension.value_bytes().to_owned()));
                }
            }
        }
        if own.components().any(|part| part.as_os_str().as_bytes().starts_with(b".wh.")) {
            return Err(reserved(own.as_os_str().as_bytes()));
        }
        let mut header = entry.header().clone();
        let mut fresh = header_of(&mut header).map_err(stream_error)?;
        let name = places.of(&own);
        let link = match kind {
            EntryType::Link => {
                let target = clean_name(&entry.link_name_bytes().unwrap_or_default())?;
                relative(&places.of(&target)).to_owned()
            }
            EntryType::Symlink => entry.link_name_bytes().unwrap_or_default().into_owned(),
            _ => Vec::new(),
        };
        if is_directory {
            places.made.insert(own);
            fresh.set_entry_type(EntryType::Directory);
            let name = [relative(&name), b"/"].concat();
            return self.packer.append(fresh, &name, &[], &records, io::empty());
        }
        let size = if matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse) {
            fresh.set_entry_type(EntryType::Regular);
            entry.size()
        } else {
            0
        };
        fresh.set_size(size);
        self.packer.append(fresh, relative(&name), &link, &records, Exactly::new(entry.by_ref(), size))
    }
}

/// Where the entries of an archive go.
struct Places<'a> {
    root: BorrowedFd<'a>,
    base: &'a Path,
    /// Directories that the archive describes; they replace links.
    made: HashSet<PathBuf>,
    known: HashMap<PathBuf, PathBuf>,
}

impl Places<'_> {
    fn of(&mut self, own: &Path) -> PathBuf {
        let (Some(parent), Some(name)) = (own.parent(), own.file_name()) else { return self.base.to_owned() };
        if parent.as_os_str().is_empty() || self.made.contains(parent) {
            return self.base.join(own);
        }
        if let Some(known) = self.known.get(parent) {
            return known.join(name);
        }
        let resolved = resolve(self.root, &self.base.join(parent));
        self.known.insert(parent.to_owned(), resolved.clone());
        resolved.join(name)
    }
}

/// Whether a file is an archive that ADD unpacks: a tar with at least one entry, plain or compressed.
#[must_use]
pub fn is_archive(file: &mut dyn Read) -> bool {
    let Ok((_, plain)) = decompress_any(file) else { return false };
    let mut archive = tar::Archive::new(Guard::new(plain));
    let Ok(mut entries) = archive.entries() else { return false };
    matches!(entries.next(), Some(Ok(_)))
}

fn header(attributes: Attributes) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(attributes.mode & 0o7777);
    header.set_uid(attributes.owner.0.into());
    header.set_gid(attributes.owner.1.into());
    header.set_mtime(attributes.modified);
    header.set_size(0);
    header
}

/// What a foreign header says, in one of our own.
fn header_of(from: &mut tar::Header) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(from.entry_type());
    header.set_mode(from.mode()? & 0o7777);
    header.set_uid(from.uid()?);
    header.set_gid(from.gid()?);
    header.set_mtime(from.mtime()?);
    if matches!(from.entry_type(), EntryType::Char | EntryType::Block) {
        header.set_device_major(from.device_major()?.unwrap_or_default())?;
        header.set_device_minor(from.device_minor()?.unwrap_or_default())?;
    }
    header.set_size(0);
    Ok(header)
}

/// As archives have it, without the slash in front.
fn relative(path: &Path) -> &[u8] {
    let bytes = path.as_os_str().as_bytes();
    bytes.strip_prefix(b"/").unwrap_or(bytes)
}
