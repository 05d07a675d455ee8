//! What a container has changed against its image (`docker diff`, `SizeRw`).

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use types::ContainerId;

use crate::driver::Driver;
use crate::{Error, Result, Store};

/// One line of `docker diff`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Absolute in the container.
    pub path: String,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to a path; the numbers are the API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Content or metadata differ from the image.
    Modified = 0,
    /// Not in the image.
    Added = 1,
    /// Only in the image.
    Deleted = 2,
}

/// Directories in which to look for a path, topmost first.
struct Lowers(Vec<PathBuf>);

impl Store {
    /// What a container has changed against its image, sorted by path.
    ///
    /// # Errors
    /// [`Error::NoSuchContainerLayer`] or the file system's refusal.
    pub fn changes(&self, container: &ContainerId) -> Result<Vec<Change>> {
        let layer = self.container_layer(container)?;
        let paths = &self.0.paths;
        let mut found = BTreeMap::new();
        match self.0.driver {
            Driver::Overlay2 => {
                let lowers = layer.slot.lower.split(':').map(|link| paths.layers().join(link)).collect();
                let upper = paths.layer(&layer.slot.id).join("diff");
                overlay_changes(&upper, &Lowers(lowers), Path::new(""), &mut found)?;
            }
            Driver::Vfs => {
                tree_changes(&paths.layer(&layer.slot.id), &paths.layer(&layer.init), Path::new(""), &mut found)?;
            }
        }
        Ok(found.into_iter().map(|(path, kind)| Change { path: format!("/{}", path.display()), kind }).collect())
    }
}

impl Lowers {
    /// Whether the layers below show something at a path: whiteouts and opaque directories hide.
    fn has(&self, path: &Path) -> bool {
        for lower in &self.0 {
            if let Ok(metadata) = fs::symlink_metadata(lower.join(path)) {
                return !is_whiteout(&metadata);
            }
            let hidden = path.ancestors().skip(1).any(|parent| {
                let parent = lower.join(parent);
                fs::symlink_metadata(&parent).is_ok_and(|m| is_whiteout(&m) || !m.is_dir()) || is_opaque(&parent)
            });
            if hidden {
                return false;
            }
        }
        false
    }
}

fn overlay_changes(
    upper: &Path,
    lowers: &Lowers,
    relative: &Path,
    found: &mut BTreeMap<PathBuf, ChangeKind>,
) -> Result<()> {
    let directory = upper.join(relative);
    for entry in fs::read_dir(&directory).map_err(|source| Error::io("readdir", &directory, source))? {
        let entry = entry.map_err(|source| Error::io("readdir", &directory, source))?;
        let path = relative.join(entry.file_name());
        let metadata = entry.metadata().map_err(|source| Error::io("stat", entry.path(), source))?;
        let below = lowers.has(&path);
        let kind = match (is_whiteout(&metadata), below) {
            (true, true) => ChangeKind::Deleted,
            (true, false) => continue,
            (false, true) => ChangeKind::Modified,
            (false, false) => ChangeKind::Added,
        };
        found.insert(path.clone(), kind);
        if metadata.is_dir() {
            overlay_changes(upper, lowers, &path, found)?;
        }
    }
    // A directory made again hides what the image had in it.
    if is_opaque(&directory) {
        let mut names = HashSet::new();
        for lower in &lowers.0 {
            names.extend(crate::records::list(&lower.join(relative)));
        }
        for name in names {
            let path = relative.join(name);
            if lowers.has(&path) {
                found.entry(path).or_insert(ChangeKind::Deleted);
            }
        }
    }
    Ok(())
}

fn tree_changes(new: &Path, old: &Path, relative: &Path, found: &mut BTreeMap<PathBuf, ChangeKind>) -> Result<()> {
    let names: HashSet<String> =
        [new, old].iter().flat_map(|root| crate::records::list(&root.join(relative))).collect();
    for name in names {
        let path = relative.join(name);
        let (now, then) = (fs::symlink_metadata(new.join(&path)), fs::symlink_metadata(old.join(&path)));
        let kind = match (&now, &then) {
            (Ok(now), Ok(then)) => differs(now, then).then_some(ChangeKind::Modified),
            (Ok(_), Err(_)) => Some(ChangeKind::Added),
            (Err(_), _) => Some(ChangeKind::Deleted),
        };
        if let Some(kind) = kind {
            found.insert(path.clone(), kind);
        }
        if now.is_ok_and(|metadata| metadata.is_dir()) {
            tree_changes(new, old, &path, found)?;
        }
    }
    Ok(())
}

pub(crate) fn differs(now: &fs::Metadata, then: &fs::Metadata) -> bool {
    let key = |m: &fs::Metadata| (m.mode(), m.uid(), m.gid(), m.rdev(), m.mtime(), m.mtime_nsec());
    key(now) != key(then) || (!now.is_dir() && now.len() != then.len())
}

pub(crate) fn is_whiteout(metadata: &fs::Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

pub(crate) fn is_opaque(directory: &Path) -> bool {
    let mut value = [0u8; 1];
    matches!(rustix::fs::lgetxattr(directory, c"trusted.overlay.opaque", &mut value[..]), Ok(1) | Err(Errno::RANGE))
        && matches!(value[0], b'y' | b'x')
}

/// Bytes of all files below a directory, files with several names once.
pub(crate) fn tree_size(root: &Path) -> Result<u64> {
    let mut seen = HashSet::new();
    let mut total = 0;
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            // The container may be at work.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && directory != root => continue,
            Err(source) => return Err(Error::io("readdir", &directory, source)),
        };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                pending.push(entry.path());
            } else if metadata.nlink() < 2 || seen.insert((metadata.dev(), metadata.ino())) {
                total += metadata.len();
            }
        }
    }
    Ok(total)
}
