//! The members of an archive as numbered files in a temporary directory. Names in the archive never become
//! paths, so nothing in it can lead elsewhere. What looks like a layer is unpacked while it passes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use types::Digest;

use crate::error::ArchiveProblem;
use crate::ingest::{LooseLayer, Source};
use crate::stream::{Compression, Exactly, TeeReader, drain, stream_error};
use crate::unpack::Whiteouts;
use crate::unpack::guard::Guard;
use crate::{Error, Expected, Result, Scratch, Store};

/// Documents larger than this are not documents.
const DOCUMENT_LIMIT: u64 = 16 << 20;
/// Where a tar says that it is one (tar(5), `ustar`).
const MAGIC: std::ops::Range<usize> = 257..262;

pub(super) struct Spool {
    directory: Scratch,
    members: HashMap<PathBuf, Node>,
    /// What was unpacked in passing, by the file of its bytes.
    layers: HashMap<PathBuf, LooseLayer>,
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
    pub(super) fn fill(store: &Store, reader: &mut dyn Read) -> Result<Self> {
        let directory = store.scratch("load")?;
        let mut spool = Self { directory, members: HashMap::new(), layers: HashMap::new() };
        let mut archive = tar::Archive::new(Guard::new(reader));
        for (number, entry) in archive.entries().map_err(stream_error)?.enumerate() {
            let entry = entry.map_err(stream_error)?;
            let name = normalize(&entry.path_bytes(), Path::new(""));
            let kind = entry.header().entry_type();
            if kind.is_file() || kind.is_contiguous() {
                let path = spool.directory.path().join(number.to_string());
                let size = entry.size();
                spool.file(store, &name, &path, &mut Exactly::new(entry, size))?;
                spool.members.insert(name, Node::File(Member { path, size }));
            } else if kind.is_symlink() || kind.is_hard_link() {
                let base = if kind.is_symlink() { name.parent() } else { None };
                let target = normalize(&entry.link_name_bytes().unwrap_or_default(), base.unwrap_or(Path::new("")));
                spool.members.insert(name, Node::Link(target));
            }
        }
        Ok(spool)
    }

    /// Keeps one file, and unpacks it when it may be a layer that is not here.
    fn file(&mut self, store: &Store, name: &Path, path: &Path, content: &mut dyn Read) -> Result<()> {
        let mut beginning = Vec::with_capacity(512);
        content.take(512).read_to_end(&mut beginning).map_err(stream_error)?;
        let mut all = beginning.chain(content);
        let file = File::create(path).map_err(|source| Error::io("create", path, source))?;
        let mut copied = TeeReader { inner: &mut all, copy: (file, path.to_owned()) };
        if !looks_like_layer(&beginning) || is_here(store, name) {
            return drain(&mut copied).map_err(stream_error);
        }
        // The copy is complete whatever the content is. A failure to unpack is told when the layer is asked for: it
        // may be something else that nobody needs.
        let source = Source::Passing(path.to_owned(), &mut copied);
        let layer = store.unpack_layer(source, &Expected::default(), Whiteouts::Overlay);
        let layer = match layer {
            Err(error @ (Error::NoSpace { .. } | Error::Stream(_))) => return Err(error),
            layer => layer.ok(),
        };
        drain(&mut copied).map_err(stream_error)?;
        self.layers.extend(layer.map(|layer| (path.to_owned(), layer)));
        Ok(())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The layer that a member was unpacked to, once.
    pub(super) fn take_layer(&mut self, member: &Member) -> Option<LooseLayer> {
        self.layers.remove(&member.path)
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

/// Whether a file begins as layers do.
fn looks_like_layer(beginning: &[u8]) -> bool {
    match Compression::of(beginning) {
        Compression::Gzip | Compression::Zstd => true,
        _ => beginning.get(MAGIC) == Some(b"ustar"),
    }
}

/// Whether a name promises content of which there is a layer.
fn is_here(store: &Store, name: &Path) -> bool {
    let digest = name.strip_prefix("blobs/sha256").ok().and_then(|name| Digest::from_hex(name.to_str()?).ok());
    digest.is_some_and(|digest| store.has_content(&digest))
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
