//! What distinguishes two images: file by file, and layer by layer with what layers above them hide.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::changes::{is_opaque, is_whiteout};
use crate::copy::{Xattrs, list_xattrs, read_xattr};
use crate::driver::Driver;
use crate::{ChangeKind, DiffId, Error, Image, Result, Store};

/// What distinguishes two images.
#[derive(Clone, Debug, Default)]
pub struct ImageDiff {
    /// By path. Times do not count: they differ with every build.
    pub files: Vec<FileDifference>,
    /// The layers of the first image, bottom first.
    pub from: Vec<LayerShare>,
    /// The layers of the second image, bottom first.
    pub to: Vec<LayerShare>,
}

/// A file that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDifference {
    /// Absolute.
    pub path: PathBuf,
    /// What the second image did to it.
    pub kind: ChangeKind,
    /// Bytes in the first image; none when it is not there.
    pub from: Option<u64>,
    /// Bytes in the second image; none when it is not there.
    pub to: Option<u64>,
    /// What of a modified one differs.
    pub aspects: Vec<Aspect>,
    /// The layer that it comes from, counted from 0: of the second image, for a deleted one of the first.
    pub layer: usize,
}

/// What of a file may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// One is a directory, link, device, …, and the other is not.
    Kind,
    /// The bytes, or where a link leads.
    Content,
    /// The permissions.
    Mode,
    /// User or group.
    Owner,
    /// The number of a device.
    Device,
    /// Extended attributes, as file capabilities are.
    Attributes,
}

/// What a layer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerShare {
    /// Its content.
    pub diff: DiffId,
    /// Bytes unpacked.
    pub size: u64,
    /// Files and directories that it brings or changes.
    pub entries: u64,
    /// Bytes of files that a layer above replaces or removes.
    pub hidden: u64,
    /// The other image has it in the same place.
    pub shared: bool,
}

/// An image's files as they show, each with the layer that it comes from.
struct Tree {
    roots: Vec<PathBuf>,
    nodes: BTreeMap<PathBuf, Node>,
    shares: Vec<LayerShare>,
}

struct Node {
    layer: usize,
    metadata: Metadata,
}

/// Name and value.
type Attribute = (Vec<u8>, Option<Vec<u8>>);

impl Store {
    /// Compares two images.
    ///
    /// # Errors
    /// [`Error::NoSuchLayer`] when a layer is gone, or the file system's refusal.
    pub fn image_diff(&self, from: &Image, to: &Image) -> Result<ImageDiff> {
        // Keeps the layers while they are read.
        let lease = self.lease();
        let common = from.chain.iter().zip(&to.chain).take_while(|(one, other)| one == other).count();
        let tree = |image: &Image| -> Result<Tree> {
            let mut tree = Tree { roots: Vec::new(), nodes: BTreeMap::new(), shares: Vec::new() };
            for (index, chain) in image.chain.iter().enumerate() {
                let layer = self.layer(&lease, chain).ok_or_else(|| Error::NoSuchLayer(chain.to_string()))?;
                let directory = self.0.paths.layer(&self.slot_of(*chain)?.id);
                let shared = index < common;
                tree.shares.push(LayerShare { diff: layer.diff, size: layer.size, entries: 0, hidden: 0, shared });
                match self.0.driver {
                    Driver::Overlay2 => {
                        tree.roots.push(directory.join("diff"));
                        tree.overlay(Path::new(""))?;
                    }
                    Driver::Vfs => {
                        tree.roots.push(directory);
                        tree.copy()?;
                    }
                }
            }
            Ok(tree)
        };
        let (one, other) = (tree(from)?, tree(to)?);
        Ok(ImageDiff { files: compare(&one, &other, common)?, from: one.shares, to: other.shares })
    }
}

// === impl Tree ===

impl Tree {
    fn top(&self) -> usize {
        self.roots.len() - 1
    }

    /// Puts a directory of the topmost layer on top of what is below, as overlay shows it.
    fn overlay(&mut self, relative: &Path) -> Result<()> {
        let directory = self.roots[self.top()].join(relative);
        for (path, metadata) in list(&directory, relative)? {
            let whiteout = is_whiteout(&metadata);
            let is_directory = metadata.is_dir();
            let merges = is_directory && self.nodes.get(&path).is_some_and(|below| below.metadata.is_dir());
            if !merges {
                self.hide(&path, true);
            }
            if whiteout {
                continue;
            }
            if is_directory && is_opaque(&directory.join(path.file_name().unwrap_or_default())) {
                self.hide(&path, false);
            }
            self.insert(path.clone(), metadata);
            if is_directory {
                self.overlay(&path)?;
            }
        }
        Ok(())
    }

    /// Takes the topmost layer, which is a whole tree of its own; what is as below counts as from there.
    fn copy(&mut self) -> Result<()> {
        let root = self.roots[self.top()].clone();
        let mut found = BTreeMap::new();
        let mut pending = vec![PathBuf::new()];
        while let Some(relative) = pending.pop() {
            for (path, metadata) in list(&root.join(&relative), &relative)? {
                if metadata.is_dir() {
                    pending.push(path.clone());
                }
                found.insert(path, metadata);
            }
        }
        let gone: Vec<PathBuf> = self.nodes.keys().filter(|path| !found.contains_key(*path)).cloned().collect();
        gone.iter().for_each(|path| self.hide(path, true));
        for (path, metadata) in found {
            match self.nodes.get(&path) {
                Some(below) if !crate::changes::differs(&metadata, &below.metadata) => {}
                Some(below) if below.metadata.is_dir() && metadata.is_dir() => self.insert(path, metadata),
                _ => {
                    self.hide(&path, true);
                    self.insert(path, metadata);
                }
            }
        }
        Ok(())
    }

    fn insert(&mut self, path: PathBuf, metadata: Metadata) {
        let layer = self.top();
        self.shares[layer].entries += 1;
        self.nodes.insert(path, Node { layer, metadata });
    }

    /// Removes what is below a path, and with `itself` the path too; its bytes are then in vain.
    fn hide(&mut self, path: &Path, itself: bool) {
        let below = self.nodes.range(path.to_owned()..).map(|(path, _)| path);
        let gone: Vec<PathBuf> = below.take_while(|other| other.starts_with(path)).cloned().collect();
        for other in gone.into_iter().filter(|other| itself || other != path) {
            if let Some(node) = self.nodes.remove(&other) {
                self.shares[node.layer].hidden += node.share();
            }
        }
    }
}

// === impl Node ===

impl Node {
    fn size(&self) -> u64 {
        if self.metadata.is_file() { self.metadata.len() } else { 0 }
    }

    /// A file with several names is there once.
    fn share(&self) -> u64 {
        self.size() / self.metadata.nlink().max(1)
    }
}

/// `common` layers at the bottom are the same, and so are the files that come from them.
fn compare(one: &Tree, other: &Tree, common: usize) -> Result<Vec<FileDifference>> {
    let mut found = Vec::new();
    for (path, to) in &other.nodes {
        let (from, aspects) = match one.nodes.get(path) {
            Some(from) if from.layer == to.layer && to.layer < common => continue,
            Some(from) => {
                let (left, right) = (one.roots[from.layer].join(path), other.roots[to.layer].join(path));
                let aspects = aspects(&left, from, &right, to)?;
                if aspects.is_empty() {
                    continue;
                }
                (Some(from.size()), aspects)
            }
            None => (None, Vec::new()),
        };
        let kind = if from.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        let path = Path::new("/").join(path);
        found.push(FileDifference { path, kind, from, to: Some(to.size()), aspects, layer: to.layer });
    }
    for (path, from) in one.nodes.iter().filter(|(path, _)| !other.nodes.contains_key(*path)) {
        let (path, kind) = (Path::new("/").join(path), ChangeKind::Deleted);
        let (from, layer) = (Some(from.size()), from.layer);
        found.push(FileDifference { path, kind, from, to: None, aspects: Vec::new(), layer });
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn aspects(left: &Path, from: &Node, right: &Path, to: &Node) -> Result<Vec<Aspect>> {
    let (one, other) = (&from.metadata, &to.metadata);
    if one.file_type() != other.file_type() {
        return Ok(vec![Aspect::Kind]);
    }
    let content = if one.is_file() {
        one.len() != other.len() || !same_content(left, right)?
    } else if one.is_symlink() {
        target(left)? != target(right)?
    } else {
        false
    };
    let attributes = attributes(left)? != attributes(right)?;
    let found = [
        (content, Aspect::Content),
        (one.mode() != other.mode(), Aspect::Mode),
        ((one.uid(), one.gid()) != (other.uid(), other.gid()), Aspect::Owner),
        (one.rdev() != other.rdev(), Aspect::Device),
        (attributes, Aspect::Attributes),
    ];
    Ok(found.into_iter().filter(|(differs, _)| *differs).map(|(_, aspect)| aspect).collect())
}

fn target(path: &Path) -> Result<PathBuf> {
    fs::read_link(path).map_err(|source| Error::io("readlink", path, source))
}

fn attributes(path: &Path) -> Result<Vec<Attribute>> {
    let failed = |source| Error::io("read the attributes of", path, source);
    let mut names = list_xattrs(path, Xattrs::Portable).map_err(failed)?;
    names.sort();
    let value = |name: std::ffi::CString| Ok((name.to_bytes().to_vec(), read_xattr(path, &name).map_err(failed)?));
    names.into_iter().map(value).collect()
}

fn same_content(left: &Path, right: &Path) -> Result<bool> {
    let open = |path: &Path| {
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        File::options().read(true).custom_flags(flags).open(path).map_err(|source| Error::io("open", path, source))
    };
    let (mut one, mut other) = (open(left)?, open(right)?);
    let (mut here, mut there) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let count = one.read(&mut here).map_err(|source| Error::io("read", left, source))?;
        if count == 0 {
            // Both have the same length.
            return Ok(true);
        }
        match other.read_exact(&mut there[..count]) {
            Ok(()) if here[..count] == there[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(source) => return Err(Error::io("read", right, source)),
        }
    }
}

/// The entries of a directory, each below `relative`, sorted.
fn list(directory: &Path, relative: &Path) -> Result<Vec<(PathBuf, Metadata)>> {
    let failed = |source| Error::io("readdir", directory, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = entry.metadata().map_err(|source| Error::io("stat", entry.path(), source))?;
        found.push((relative.join(entry.file_name()), metadata));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}
