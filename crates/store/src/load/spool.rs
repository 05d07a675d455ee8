//! The members of an archive as numbered files in a temporary directory. Names in the archive never become
//! paths, so nothing in it can lead elsewhere.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::ArchiveProblem;
use crate::stream::stream_error;
use crate::{Error, Result, Scratch};

/// Documents larger than this are not documents.
const DOCUMENT_LIMIT: u64 = 16 << 20;

pub(super) struct Spool {
    directory: Scratch,
    members: HashMap<PathBuf, Node>,
}

enum Node {
    File(Member),
    /// Old archives link to layers that they hold already.
    Link(PathBuf),
}

/// One regular file of the archive.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) path: PathBuf,
    pub(super) size: u64,
}

impl Spool {
    /// Reads a plain tar to its end.
    pub(super) fn fill(directory: Scratch, reader: &mut dyn Read) -> Result<Self> {
        let mut spool = Self { directory, members: HashMap::new() };
        let mut buffer = vec![0; 256 * 1024];
        let mut archive = tar::Archive::new(crate::unpack::guard::Guard::new(reader));
        for (number, entry) in archive.entries().map_err(stream_error)?.enumerate() {
            let mut entry = entry.map_err(stream_error)?;
            let name = normalize(&entry.path_bytes(), Path::new(""));
            let kind = entry.header().entry_type();
            if kind.is_file() || kind.is_contiguous() {
                let path = spool.directory.path().join(number.to_string());
                let size = copy(&mut entry, &path, &mut buffer)?;
                spool.members.insert(name, Node::File(Member { path, size }));
            } else if kind.is_symlink() || kind.is_hard_link() {
                let base = if kind.is_symlink() { name.parent() } else { None };
                let target = normalize(&entry.link_name_bytes().unwrap_or_default(), base.unwrap_or(Path::new("")));
                spool.members.insert(name, Node::Link(target));
            }
        }
        Ok(spool)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The file of a name, through at most a few links.
    fn find(&self, name: &str) -> Option<&Member> {
        let mut name = normalize(name.as_bytes(), Path::new(""));
        for _ in 0..8 {
            match self.members.get(&name)? {
                Node::File(member) => return Some(member),
                Node::Link(target) => name.clone_from(target),
            }
        }
        None
    }

    pub(super) fn member(&self, name: &str) -> Result<Member> {
        self.find(name).cloned().ok_or_else(|| Error::Archive(ArchiveProblem::Missing(name.to_owned())))
    }

    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let member = self.member(name)?;
        if member.size > DOCUMENT_LIMIT {
            return Err(Error::Document { what: name.to_owned(), reason: "too large".to_owned() });
        }
        fs::read(&member.path).map_err(|source| Error::io("read", &member.path, source))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        serde_json::from_slice(&self.bytes(name)?)
            .map_err(|error| Error::Document { what: name.to_owned(), reason: error.to_string() })
    }
}

fn copy(entry: &mut impl Read, path: &Path, buffer: &mut [u8]) -> Result<u64> {
    let mut file = File::create(path).map_err(|source| Error::io("create", path, source))?;
    let mut size = 0;
    loop {
        let count = entry.read(buffer).map_err(stream_error)?;
        if count == 0 {
            return Ok(size);
        }
        file.write_all(&buffer[..count]).map_err(|source| Error::io("write", path, source))?;
        size += count as u64;
    }
}

/// A key for look-ups: components only, `..` applied, never above the top.
fn normalize(name: &[u8], base: &Path) -> PathBuf {
    let mut path = if name.starts_with(b"/") { PathBuf::new() } else { base.to_owned() };
    for component in String::from_utf8_lossy(name).split('/') {
        match component {
            "" | "." => {}
            ".." => drop(path.pop()),
            component => path.push(component),
        }
    }
    path
}
