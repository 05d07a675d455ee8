//! What takes space below the data root, byte for byte, as `du` counts: every file once however many names it has,
//! and nothing of what is mounted there.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Store;

/// A kind of things that take space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UsageKind {
    /// Unpacked layers of images.
    ImageLayers,
    /// Layers as they came from, or go to, registries and archives.
    ImageBlobs,
    /// Configurations, names and records of images and layers.
    ImageRecords,
    /// What containers have written.
    ContainerLayers,
    /// Containers' records and small files.
    ContainerFiles,
    /// Containers' logs.
    ContainerLogs,
    /// Volumes.
    Volumes,
    /// Downloads and other work in progress.
    Unfinished,
    /// Removed and not yet freed.
    Removed,
    /// All else: networks, identities, what is not ours.
    Other,
}

/// What one kind of things takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Files, directories and everything else that has a name.
    pub files: u64,
    /// Bytes as the files say (`du --apparent-size`).
    pub apparent: u64,
    /// Bytes of the disk's blocks (`du`).
    pub allocated: u64,
}

/// In the order of being told.
pub const USAGE_KINDS: [UsageKind; 10] = [
    UsageKind::ImageLayers,
    UsageKind::ImageBlobs,
    UsageKind::ImageRecords,
    UsageKind::ContainerLayers,
    UsageKind::ContainerFiles,
    UsageKind::ContainerLogs,
    UsageKind::Volumes,
    UsageKind::Unfinished,
    UsageKind::Removed,
    UsageKind::Other,
];

impl Store {
    /// Everything below the data root, by kind in the order of [`USAGE_KINDS`]; the sum is what `du` says. What comes
    /// or goes meanwhile may be counted or not.
    #[must_use]
    pub fn usage(&self) -> Vec<(UsageKind, Usage)> {
        let mut walk = Walk::new(self.0.paths.root());
        let mut sums = vec![Usage::default(); USAGE_KINDS.len()];
        let root = self.0.paths.root().to_owned();
        let containers: HashSet<String> = {
            let state = self.0.state();
            state.containers.values().flat_map(|layer| [layer.slot.id.clone(), layer.init.clone()]).collect()
        };
        walk.tree(&root, &mut |path, usage| {
            let kind = self.kind_of(path.strip_prefix(&root).unwrap_or(path), &containers);
            sums[kind as usize].add(usage);
        });
        USAGE_KINDS.into_iter().zip(sums).collect()
    }

    /// What a path relative to the data root is.
    fn kind_of(&self, path: &Path, containers: &HashSet<String>) -> UsageKind {
        let paths = &self.0.paths;
        let root = paths.root();
        let below = |directory: &Path| path.starts_with(directory.strip_prefix(root).unwrap_or(directory));
        if below(&paths.layers().join(crate::init_layer::SHARED)) {
            return UsageKind::ContainerLayers;
        }
        if below(paths.layers()) {
            let depth = paths.layers().components().count() - root.components().count();
            let id = path.components().nth(depth).map(|id| id.as_os_str().to_string_lossy().into_owned());
            let container = id.is_some_and(|id| containers.contains(&id));
            return if container { UsageKind::ContainerLayers } else { UsageKind::ImageLayers };
        }
        if below(&paths.removed()) {
            return UsageKind::Removed;
        }
        if below(&paths.partials()) {
            return UsageKind::Unfinished;
        }
        if below(&paths.blobs()) {
            return UsageKind::ImageBlobs;
        }
        if below(&root.join("image")) {
            return UsageKind::ImageRecords;
        }
        if below(&root.join("containers")) {
            let log = path.components().any(|part| {
                let part = part.as_os_str().to_string_lossy();
                part.contains("-json.log") || part == "local-logs" || part.starts_with("container-cached.log")
            });
            return if log { UsageKind::ContainerLogs } else { UsageKind::ContainerFiles };
        }
        if below(&paths.volumes()) {
            return UsageKind::Volumes;
        }
        if below(&paths.tmp()) { UsageKind::Unfinished } else { UsageKind::Other }
    }
}

impl Usage {
    /// Adds another one's.
    pub fn add(&mut self, other: Self) {
        self.files += other.files;
        self.apparent += other.apparent;
        self.allocated += other.allocated;
    }
}

/// All that is below a directory, without the directory itself.
pub(crate) fn of(directory: &Path) -> Usage {
    let mut sum = Usage::default();
    let mut add = |path: &Path, usage: Usage| {
        if path != directory {
            sum.add(usage);
        }
    };
    Walk::new(directory).tree(directory, &mut add);
    sum
}

/// Bytes of the disk's blocks below a path.
#[must_use]
pub fn allocated(path: &Path) -> u64 {
    sum(path).allocated
}

/// What there is at a path and below it.
pub(crate) fn sum(path: &Path) -> Usage {
    let mut sum = Usage::default();
    Walk::new(path).tree(path, &mut |_, usage| sum.add(usage));
    sum
}

struct Walk {
    device: Option<u64>,
    /// Files with several names that were counted.
    counted: HashSet<u64>,
}

impl Walk {
    fn new(root: &Path) -> Self {
        Self { device: std::fs::symlink_metadata(root).ok().map(|metadata| metadata.dev()), counted: HashSet::new() }
    }

    /// Calls `found` with every path from `root` on. What vanishes meanwhile is not there.
    fn tree(&mut self, root: &Path, found: &mut dyn FnMut(&Path, Usage)) {
        let mut pending: Vec<PathBuf> = vec![root.to_owned()];
        while let Some(path) = pending.pop() {
            let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
            if Some(metadata.dev()) != self.device {
                continue;
            }
            if !metadata.is_dir() && metadata.nlink() > 1 && !self.counted.insert(metadata.ino()) {
                continue;
            }
            // GNU du counts the size of no directory entry but what lstat says, of devices nothing.
            let apparent =
                if metadata.is_file() || metadata.is_dir() || metadata.is_symlink() { metadata.len() } else { 0 };
            found(&path, Usage { files: 1, apparent, allocated: metadata.blocks() * 512 });
            if metadata.is_dir()
                && let Ok(entries) = std::fs::read_dir(&path)
            {
                pending.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_du() {
        let directory = tempfile::tempdir().expect("directory");
        let root = directory.path().join("data");
        std::fs::create_dir_all(root.join("a/b")).expect("make");
        std::fs::write(root.join("a/b/file"), vec![1; 100_000]).expect("write");
        std::fs::hard_link(root.join("a/b/file"), root.join("a/again")).expect("link");
        std::os::unix::fs::symlink("x".repeat(200), root.join("link")).expect("link");
        let sparse = std::fs::File::create(root.join("sparse")).expect("create");
        sparse.set_len(1 << 20).expect("grow");
        let mut sum = Usage::default();
        Walk::new(&root).tree(&root, &mut |_, usage| sum.add(usage));
        let du = |option: &str| {
            let output = std::process::Command::new("du").args(["-sx", option, "--block-size=1"]).arg(&root).output();
            let text = String::from_utf8(output.expect("du").stdout).expect("text");
            text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0_u64)
        };
        assert_eq!((sum.allocated, sum.files), (du("--total"), 6));
        // Newer editions count no directories here.
        let apparent = du("--apparent-size");
        let directories =
            [&root, &root.join("a"), &root.join("a/b")].map(|d| std::fs::metadata(d).expect("stat").len());
        assert!(apparent == sum.apparent || apparent + directories.iter().sum::<u64>() == sum.apparent, "{apparent}");
    }
}
