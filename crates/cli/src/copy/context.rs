//! The directory that an image is built from, as a tar archive: without what its `.dockerignore` names, and with
//! everything owned by root.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use build::ignore::{Ignore, Matched};
use tar::EntryType;

use super::go_text;
use super::pack::{Archive, header, set_device, xattrs};

/// Packs a directory; `added` are further files, by name and content.
///
/// # Errors
/// What the file system or the writer refuses, with the path.
pub fn pack_context(
    directory: &Path,
    ignore: &Ignore,
    added: &[(String, Vec<u8>)],
    writer: impl Write,
) -> Result<(), String> {
    let mut packer = Packer { archive: Archive::new(writer), ignore, links: HashMap::new() };
    packer.children(directory, "", &Matched::default())?;
    append_files(&mut packer.archive, added).map_err(|error| go_text(&error))
}

/// Packs files that are nowhere, by name and content.
///
/// # Errors
/// What the writer refuses.
pub fn pack_files(files: &[(String, Vec<u8>)], writer: impl Write) -> Result<(), String> {
    append_files(&mut Archive::new(writer), files).map_err(|error| go_text(&error))
}

fn append_files<W: Write>(archive: &mut Archive<W>, files: &[(String, Vec<u8>)]) -> io::Result<()> {
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        archive.append(header, name.as_bytes(), &[], &[], &content[..])?;
    }
    archive.finish()
}

struct Packer<'a, W: Write> {
    archive: Archive<W>,
    ignore: &'a Ignore,
    /// The first name of a file with several.
    links: HashMap<(u64, u64), String>,
}

impl<W: Write> Packer<'_, W> {
    fn children(&mut self, directory: &Path, prefix: &str, above: &Matched) -> Result<(), String> {
        let failed = |error: io::Error| format!("open {}: {}", directory.display(), go_text(&error));
        let mut names = fs::read_dir(directory)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>())
            .map_err(failed)?;
        names.sort();
        for name in names {
            let Some(text) = name.to_str() else {
                // A tar of bytes could hold it; the patterns of `.dockerignore` could not name it.
                return Err(format!("{}: the name is not UTF-8", directory.join(&name).display()));
            };
            self.entry(&directory.join(&name), &format!("{prefix}{text}"), above)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &str, above: &Matched) -> Result<(), String> {
        let failed =
            |action: &'static str| move |error: io::Error| format!("{action} {}: {}", path.display(), go_text(&error));
        let (ignored, matched) = self.ignore.below(above, name);
        let metadata = fs::symlink_metadata(path).map_err(failed("lstat"))?;
        if metadata.is_dir() {
            if ignored && self.ignore.skips(name) {
                return Ok(());
            }
            if !ignored {
                let mut header = rooted(&metadata);
                header.set_entry_type(EntryType::Directory);
                let slash = format!("{name}/");
                let written = self.archive.append(header, slash.as_bytes(), &[], &xattrs(path), io::empty());
                written.map_err(failed("write"))?;
            }
            return self.children(path, &format!("{name}/"), &matched);
        }
        if ignored || metadata.file_type().is_socket() {
            return Ok(());
        }
        self.file(path, name, &metadata).map_err(failed("read"))
    }

    fn file(&mut self, path: &Path, name: &str, metadata: &Metadata) -> io::Result<()> {
        let mut header = rooted(metadata);
        let (kind, bytes) = (metadata.file_type(), name.as_bytes());
        if metadata.nlink() > 1 {
            let inode = (metadata.dev(), metadata.ino());
            if let Some(first) = self.links.get(&inode) {
                header.set_entry_type(EntryType::Link);
                return self.archive.append(header, bytes, first.as_bytes(), &[], io::empty());
            }
            self.links.insert(inode, name.to_owned());
        }
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            let target = fs::read_link(path)?.into_os_string().into_vec();
            return self.archive.append(header, bytes, &target, &[], io::empty());
        }
        if kind.is_file() {
            header.set_size(metadata.len());
            // A file that shrinks meanwhile is filled up, one that grows is cut.
            let content = File::open(path)?.chain(io::repeat(0)).take(metadata.len());
            return self.archive.append(header, bytes, &[], &xattrs(path), content);
        }
        set_device(&mut header, metadata)?;
        self.archive.append(header, bytes, &[], &xattrs(path), io::empty())
    }
}

fn rooted(metadata: &Metadata) -> tar::Header {
    let mut header = header(metadata);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_stays_out() {
        let directory = std::env::temp_dir().join(format!("cli-context-{}", std::process::id()));
        fs::create_dir_all(directory.join("keep/deep")).expect("mkdir");
        fs::create_dir_all(directory.join("gone")).expect("mkdir");
        for name in ["keep/a", "keep/deep/b.log", "gone/x", "gone/but", "top.log"] {
            fs::write(directory.join(name), name).expect("write");
        }
        let ignore = Ignore::parse(b"gone\n!gone/but\n**/*.log\n").expect("patterns");
        let mut bytes = Vec::new();
        let added = [(".dockerfile.1".to_owned(), b"FROM x".to_vec())];
        pack_context(&directory, &ignore, &added, &mut bytes).expect("packs");
        let mut archive = tar::Archive::new(&bytes[..]);
        let names: Vec<String> = archive
            .entries()
            .expect("entries")
            .map(|entry| entry.expect("entry").path().expect("path").display().to_string())
            .collect();
        assert_eq!(names, ["gone/but", "keep/", "keep/a", "keep/deep/", ".dockerfile.1"]);
        fs::remove_dir_all(&directory).expect("cleanup");
    }
}
