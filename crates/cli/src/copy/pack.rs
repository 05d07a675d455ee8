//! Local files as a tar archive.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::{Rename, go_text};

/// The longest name that fits into a header.
const NAME: usize = 100;

/// What to pack.
#[derive(Clone, Debug)]
pub struct Source {
    /// The directory it is in.
    pub directory: PathBuf,
    /// Its name there; `.` for the directory itself.
    pub name: String,
    /// Name changes, in order.
    pub renames: Vec<Rename>,
}

struct Packer<W: Write> {
    archive: Archive<W>,
    renames: Vec<Rename>,
    /// The first name of a file with several.
    links: HashMap<(u64, u64), Vec<u8>>,
}

/// Writes the archive.
///
/// # Errors
/// What the file system or the writer refuses, with the path.
pub fn pack(source: &Source, writer: impl Write) -> Result<(), String> {
    let mut packer = Packer { archive: Archive::new(writer), renames: source.renames.clone(), links: HashMap::new() };
    packer.entry(&source.directory.join(&source.name), source.name.as_bytes())?;
    packer.archive.finish().map_err(|error| go_text(&error))
}

impl<W: Write> Packer<W> {
    fn entry(&mut self, path: &Path, name: &[u8]) -> Result<(), String> {
        let failed =
            |action: &'static str| move |error: io::Error| format!("{action} {}: {}", path.display(), go_text(&error));
        let metadata = fs::symlink_metadata(path).map_err(failed("lstat"))?;
        let kind = metadata.file_type();
        let mut header = header(&metadata);
        let shown = self.renames.iter().fold(name.to_owned(), |name, rename| rename.apply(&name));
        if !kind.is_dir() && metadata.nlink() > 1 {
            let inode = (metadata.dev(), metadata.ino());
            if let Some(first) = self.links.get(&inode).cloned() {
                header.set_entry_type(EntryType::Link);
                return self.append(header, &shown, &first, &[], io::empty()).map_err(failed("write"));
            }
            self.links.insert(inode, shown.clone());
        }
        // A socket without its owner is of no use to anybody.
        if kind.is_socket() {
            return Ok(());
        }
        let xattrs = xattrs(path);
        if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            let slash = [&shown[..], b"/"].concat();
            self.append(header, &slash, &[], &xattrs, io::empty()).map_err(failed("write"))?;
            let mut names: Vec<_> = fs::read_dir(path)
                .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>())
                .map_err(failed("open"))?;
            names.sort();
            return names
                .into_iter()
                .try_for_each(|child| self.entry(&path.join(&child), &[name, b"/", child.as_bytes()].concat()));
        }
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            let target = fs::read_link(path).map_err(failed("readlink"))?.into_os_string().into_vec();
            return self.append(header, &shown, &target, &[], io::empty()).map_err(failed("write"));
        }
        if kind.is_file() {
            header.set_size(metadata.len());
            let file = File::open(path).map_err(failed("open"))?;
            // A file that shrinks meanwhile is filled up, one that grows is cut.
            let content = file.chain(io::repeat(0)).take(metadata.len());
            return self.append(header, &shown, &[], &xattrs, content).map_err(failed("read"));
        }
        set_device(&mut header, &metadata).map_err(failed("write"))?;
        self.append(header, &shown, &[], &xattrs, io::empty()).map_err(failed("write"))
    }

    fn append(
        &mut self,
        header: Header,
        name: &[u8],
        link: &[u8],
        xattrs: &[(String, Vec<u8>)],
        content: impl Read,
    ) -> io::Result<()> {
        self.archive.append(header, name, link, xattrs, content)
    }
}

/// An archive whose names may be of any length and bytes.
pub(super) struct Archive<W: Write>(tar::Builder<W>);

impl<W: Write> Archive<W> {
    pub(super) fn new(writer: W) -> Self {
        Self(tar::Builder::new(writer))
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.0.finish()
    }

    pub(super) fn append(
        &mut self,
        mut header: Header,
        name: &[u8],
        link: &[u8],
        xattrs: &[(String, Vec<u8>)],
        content: impl Read,
    ) -> io::Result<()> {
        let mut records: Vec<(&str, &[u8])> = Vec::new();
        records.extend([("path", name), ("linkpath", link)].into_iter().filter(|(_, value)| value.len() > NAME));
        records.extend(xattrs.iter().map(|(key, value)| (key.as_str(), value.as_slice())));
        if !records.is_empty() {
            self.0.append_pax_extensions(records)?;
        }
        if let Some(raw) = header.as_gnu_mut() {
            for (field, value) in [(&mut raw.name, name), (&mut raw.linkname, link)] {
                let count = value.len().min(NAME);
                field[..count].copy_from_slice(&value[..count]);
            }
        }
        header.set_cksum();
        self.0.append(&header, content)
    }
}

pub(super) fn header(metadata: &Metadata) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(metadata.mode() & 0o7777);
    header.set_uid(metadata.uid().into());
    header.set_gid(metadata.gid().into());
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header.set_size(0);
    header
}

pub(super) fn set_device(header: &mut Header, metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    header.set_entry_type(if kind.is_char_device() {
        EntryType::Char
    } else if kind.is_block_device() {
        EntryType::Block
    } else {
        EntryType::Fifo
    });
    header.set_device_major(rustix::fs::major(metadata.rdev()))?;
    header.set_device_minor(rustix::fs::minor(metadata.rdev()))
}

/// The attributes that belong to a file rather than to this machine; file systems without them have none.
pub(super) fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0u8; 64 << 10];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names[..]) else { return Vec::new() };
    let names = names[..length].split(|byte| *byte == 0);
    let ours = names.filter(|name| name.starts_with(b"user.") || *name == b"security.capability");
    let read = |name: &[u8]| {
        let key = CString::new(name).ok()?;
        let mut value = vec![0u8; 64 << 10];
        let length = rustix::fs::lgetxattr(path, &key, &mut value[..]).ok()?;
        value.truncate(length);
        Some((format!("SCHILY.xattr.{}", key.to_string_lossy()), value))
    };
    ours.filter_map(read).collect()
}
