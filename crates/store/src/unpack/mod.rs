//! Unpacks a layer's tar into a directory. Works on descriptors only: every path of the archive is resolved
//! with `openat2(RESOLVE_IN_ROOT)` below the directory, so no link in the archive leads out of it.
//!
//! Whiteouts (OCI image-spec, "Layer Filesystem Changeset"): `.wh.name` hides `name` of the layers below,
//! `.wh..wh..opq` hides everything below in its directory. The overlay driver turns them into a character
//! device 0:0 and the attribute `trusted.overlay.opaque`; the vfs driver applies them.

mod attributes;
mod entry;
pub(crate) mod guard;
mod limits;
mod live;
mod name;
mod parents;
mod sparse;

use std::collections::{BTreeSet, HashSet};
use std::io::Read;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, Timespec};

pub(crate) use attributes::describe_directory;
pub(crate) use name::clean as clean_name;

use crate::files::Extract;
use crate::stream::{lacks_padding, stream_error};
use crate::{Error, Result};

/// What whiteouts become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whiteouts {
    /// Overlay's own marks.
    Overlay,
    /// Removal of what the directory holds from the layers below.
    Apply,
    /// Ordinary files: the tar is a root file system, not a change of one.
    Keep,
    /// The same in a volume, where overlay's attributes are its users' affair too.
    Volume,
}

/// The place to unpack into.
pub(crate) struct Target<'a> {
    /// The directory; exists.
    pub(crate) directory: &'a Path,
    /// What whiteouts become.
    pub(crate) whiteouts: Whiteouts,
}

/// What an archive has become.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Bytes of its files.
    pub(crate) size: u64,
    /// Directories that no entry describes: what the layers below have in their place says what they are like.
    pub(crate) implied: BTreeSet<PathBuf>,
    /// The archive had an end mark, as every whole one should.
    pub(crate) ended: bool,
}

/// A place in a container, which may change while it is written to.
#[derive(Clone, Copy)]
pub(crate) struct Live<'a> {
    /// The container's root, out of which no link leads.
    pub(crate) root: BorrowedFd<'a>,
    /// The directory to unpack into.
    pub(crate) directory: BorrowedFd<'a>,
    /// Where that is below the root.
    pub(crate) base: &'a Path,
    /// What the caller wants.
    pub(crate) options: Extract,
}

/// Unpacks a tar. Reads up to the end mark.
///
/// # Errors
/// [`Error::Archive`] for a bad archive, or the file system's refusal. The directory is left as it is then.
pub(crate) fn unpack(reader: &mut dyn Read, target: &Target<'_>) -> Result<Tree> {
    let root = rustix::fs::open(target.directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|source| Error::io("open", target.directory, source))?;
    Unpacker::new(root, target, None).all(reader)
}

/// Unpacks a tar into a directory of a container, which may run. Whiteouts mean nothing there.
///
/// # Errors
/// As [`unpack`].
pub(crate) fn unpack_live(reader: &mut dyn Read, live: Live<'_>) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(live.directory, c".", flags, Mode::empty())
        .map_err(|source| Error::io("open", "/", source))?;
    let target = Target { directory: live.base, whiteouts: Whiteouts::Keep };
    Unpacker::new(root, &target, Some(live)).all(reader).map(drop)
}

struct Unpacker<'a> {
    root: OwnedFd,
    target: &'a Target<'a>,
    live: Option<Live<'a>>,
    /// The directory of the previous entry, which the next one mostly shares.
    parent: Option<(PathBuf, OwnedFd)>,
    /// Directories with what they get when nothing is written to them any more: times, and the access list that what
    /// is made in them would inherit.
    directories: Vec<(PathBuf, Timespec, Option<Vec<u8>>)>,
    /// Paths of this archive, kept only when whiteouts are applied: they spare what came with them.
    made: HashSet<PathBuf>,
    room: limits::Room,
    tree: Tree,
    buffer: Vec<u8>,
}

impl<'a> Unpacker<'a> {
    fn new(root: OwnedFd, target: &'a Target<'a>, live: Option<Live<'a>>) -> Self {
        Self {
            root,
            target,
            live,
            parent: None,
            directories: Vec::new(),
            made: HashSet::new(),
            room: limits::Room::default(),
            tree: Tree::default(),
            buffer: vec![0; 128 * 1024],
        }
    }

    fn all(mut self, reader: &mut dyn Read) -> Result<Tree> {
        let mut archive = tar::Archive::new(guard::Guard::new(reader));
        for entry in archive.entries().map_err(stream_error)? {
            match entry {
                // The content of the last entry was read to its end.
                Err(error) if lacks_padding(&error) => break,
                entry => self.entry(entry.map_err(stream_error)?)?,
            }
        }
        self.tree.ended = archive.into_inner().ended();
        self.finish()
    }

    fn finish(mut self) -> Result<Tree> {
        self.parent = None;
        for (path, time, inherited) in std::mem::take(&mut self.directories).into_iter().rev() {
            // A later entry may have replaced the directory; then its time does not matter.
            if let Ok(directory) = self.open_directory(&path) {
                if let Some(list) = inherited {
                    attributes::set_xattr(&directory, c"", attributes::INHERITED, &list)
                        .map_err(|source| Error::io("setxattr", inside(&path), source))?;
                }
                attributes::set_times(&directory, c"", time, AtFlags::EMPTY_PATH)
                    .map_err(|source| Error::io("lchtimes", inside(&path), source))?;
            }
        }
        Ok(self.tree)
    }
}

/// The path as somebody in the container would write it, for messages.
fn inside(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}
