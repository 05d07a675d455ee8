//! Whose a path below the data root is: the store's part of `gantry system df --why`.

use std::path::{Path, PathBuf};

use types::{ContainerId, Digest};

use crate::driver::Driver;
use crate::paths::TREE;
use crate::state::State;
use crate::usage::Usage;
use crate::{ChainId, DiffId, Image, ImageId, Store};

/// Whose something below the data root is, as far as the store knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The engine's own, and what it is for.
    Engine(&'static str),
    /// Image layers: one, or all that have the same content.
    Layers {
        /// The layers.
        chains: Vec<ChainId>,
        /// What of them.
        part: &'static str,
        /// Where in the layer's files; empty for all of them and for what is none of them.
        inside: PathBuf,
    },
    /// An image.
    Image {
        /// Which.
        id: ImageId,
        /// What of it.
        part: &'static str,
    },
    /// A container's layer.
    Container {
        /// Whose.
        id: ContainerId,
        /// What of it.
        part: &'static str,
        /// Where in the container's files; empty as above.
        inside: PathBuf,
    },
    /// A volume.
    Volume {
        /// Its name.
        name: String,
        /// What of it.
        part: &'static str,
        /// Where in the volume; empty as above.
        inside: PathBuf,
    },
    /// What has arrived of a blob.
    Download {
        /// The blob.
        blob: Digest,
        /// A download is at it.
        running: bool,
    },
    /// Something that is being made at this moment.
    Work,
    /// Removed, and being freed.
    Removed,
    /// Not the store's.
    Elsewhere,
    /// Where only the store's things are, and nothing mentions it.
    Nobody,
}

impl Store {
    /// Whose a path is; `path` is absolute and begins with the data root.
    #[must_use]
    pub fn owner(&self, path: &Path) -> Owner {
        let paths = &self.0.paths;
        if path.ancestors().any(|path| self.0.unfinished.has(path)) {
            return Owner::Work;
        }
        if let Some((name, rest)) = below(path, paths.layers()) {
            return self.layer_owner(&name, &rest);
        }
        if let Some((name, rest)) = below(path, &paths.volumes()) {
            return self.volume_owner(name, &rest);
        }
        if below(path, &paths.plugin_volumes()).is_some() {
            let part = "record (its files are the plugin's)";
            let volume = self.0.plugin_volumes.recorded_at(path);
            return volume.map_or(Owner::Nobody, |name| Owner::Volume { name, part, inside: PathBuf::new() });
        }
        if below(path, &paths.tmp()).is_some() {
            return Owner::Nobody;
        }
        if below(path, &paths.root().join("image")).is_some() {
            return self.record_owner(path);
        }
        if path == paths.root() {
            return Owner::Engine("the data root itself");
        }
        if paths.layers().starts_with(path)
            || [paths.volumes(), paths.plugin_volumes(), paths.tmp()].iter().any(|own| own == path)
        {
            return Owner::Engine("a directory that the store keeps its things in");
        }
        let own = |name: &str| path == paths.root().join(name);
        match TREE.iter().find(|(name, _)| own(name)) {
            Some((_, _)) => Owner::Engine("a directory of every data root"),
            None => Owner::Elsewhere,
        }
    }

    /// What the container's layer is made on, from the topmost layer down, and the layers that it mounts.
    #[must_use]
    pub fn layers_of_container(&self, container: &ContainerId) -> Vec<ChainId> {
        let state = self.0.state();
        let Some(layer) = state.containers.get(container) else { return Vec::new() };
        let tops = layer.parent.iter().chain(&layer.pinned);
        let parent = |chain: &ChainId| state.layers.get(chain)?.layer.parent;
        tops.flat_map(|top| std::iter::successors(Some(*top), parent)).collect()
    }

    /// What there is at a path and below it, as `du` counts.
    #[must_use]
    pub fn usage_of(&self, path: &Path) -> Usage {
        crate::usage::sum(path)
    }

    /// A directory of the storage driver.
    fn layer_owner(&self, name: &str, rest: &Path) -> Owner {
        let state = self.0.state();
        if self.0.driver == Driver::Overlay2 && name == "l" {
            let Some(link) = rest.to_str().filter(|link| !link.is_empty()) else {
                return Owner::Engine("the short names of layers");
            };
            return linked(&state, link);
        }
        if name == "backingFsBlockDev" {
            return Owner::Engine("stands for the file system that quotas are set on");
        }
        if name == crate::init_layer::SHARED {
            return Owner::Engine("what every container has between its image and its own layer");
        }
        let (inside, part) = self.layer_part(rest);
        if let Some(entry) = state.layers.values().find(|entry| entry.slot.id == name) {
            let part = part.unwrap_or("files");
            return Owner::Layers { chains: vec![entry.layer.chain], part, inside };
        }
        let mut containers = state.containers.iter();
        match containers.find(|(_, layer)| layer.slot.id == name || layer.init == name) {
            Some((id, layer)) if layer.init == name => {
                Owner::Container { id: id.clone(), part: "layer below the writable one", inside: PathBuf::new() }
            }
            Some((id, _)) => Owner::Container { id: id.clone(), part: part.unwrap_or("writable layer"), inside },
            None => Owner::Nobody,
        }
    }

    /// Where in a layer's files a path of its directory is; what it is when it is not in there.
    fn layer_part(&self, rest: &Path) -> (PathBuf, Option<&'static str>) {
        if self.0.driver == Driver::Vfs || rest.as_os_str().is_empty() {
            return (rest.to_owned(), None);
        }
        match rest.strip_prefix("diff") {
            Ok(inside) => (inside.to_owned(), None),
            Err(_) if rest.starts_with("work") => (PathBuf::new(), Some("overlay's work directory")),
            Err(_) if rest.starts_with("merged") => (PathBuf::new(), Some("mount point")),
            Err(_) => (PathBuf::new(), Some("record in the layer's directory")),
        }
    }

    fn volume_owner(&self, name: String, rest: &Path) -> Owner {
        if name == "backingFsBlockDev" {
            return Owner::Engine("stands for the file system that quotas are set on");
        }
        if self.volume(&name).is_err() {
            return Owner::Nobody;
        }
        match rest.strip_prefix("_data") {
            Ok(inside) => Owner::Volume { name, part: "files", inside: inside.to_owned() },
            Err(_) if rest.as_os_str().is_empty() => Owner::Volume { name, part: "directory", inside: PathBuf::new() },
            Err(_) => Owner::Volume { name, part: "record", inside: PathBuf::new() },
        }
    }

    /// What is below `image`.
    fn record_owner(&self, path: &Path) -> Owner {
        let (paths, state) = (&self.0.paths, self.0.state());
        let named = |directory: PathBuf| {
            let (name, _) = below(path, &directory)?;
            Some((Digest::from_hex(&name).ok(), name))
        };
        let of_diff = |diff: Option<DiffId>, part| match diff.map(|diff| with_content(&state, diff)) {
            Some(chains) if !chains.is_empty() => Owner::Layers { chains, part, inside: PathBuf::new() },
            _ => Owner::Nobody,
        };
        let of_layer = |chain: Option<Digest>, part| match chain.map(ChainId) {
            Some(chain) if state.layers.contains_key(&chain) => {
                Owner::Layers { chains: vec![chain], part, inside: PathBuf::new() }
            }
            _ => Owner::Nobody,
        };
        let of_image = |id: Option<Digest>, part| match id.map(ImageId) {
            Some(id) if state.images.contains_key(&id) => Owner::Image { id, part },
            _ => Owner::Nobody,
        };
        if let Some((digest, _)) = named(paths.blobs()) {
            let diff = digest.and_then(|digest| state.diff_of_blob.get(&digest).copied());
            return of_diff(diff, "blob as it came from, or goes to, registries and archives");
        }
        if let Some((digest, _)) = named(paths.partials()) {
            return digest.map_or(Owner::Nobody, |blob| Owner::Download { blob, running: self.is_downloading(&blob) });
        }
        if let Some((digest, _)) = named(paths.diffid_by_digest()) {
            let diff = digest.and_then(|digest| state.diff_of_blob.get(&digest).copied());
            return of_diff(diff, "record of what its blob unpacks to");
        }
        if let Some((digest, _)) = named(paths.v2metadata_by_diffid()) {
            return of_diff(digest.map(DiffId), "record of its blob");
        }
        if let Some((digest, _)) = named(paths.image_contents()) {
            return of_image(digest, "configuration");
        }
        if let Some((digest, _)) = named(paths.image_metadata_all()) {
            return of_image(digest, "record");
        }
        if let Some((digest, _)) = named(paths.layer_records()) {
            return of_layer(digest, "record");
        }
        if let Some((digest, _)) = named(paths.unsynced()) {
            return of_layer(digest, "mark that it may not have reached the disk yet");
        }
        if let Some((_, name)) = named(paths.mounts()).or_else(|| named(paths.layer_records_tmp())) {
            let id = name.parse::<ContainerId>().ok().filter(|id| state.containers.contains_key(id));
            return id.map_or(Owner::Nobody, |id| Owner::Container {
                id,
                part: "record of the writable layer",
                inside: PathBuf::new(),
            });
        }
        self.record_directory(path)
    }

    /// What below `image` is not of one thing.
    fn record_directory(&self, path: &Path) -> Owner {
        let paths = &self.0.paths;
        let (places, unsynced) = ([paths.removed().join("0"), paths.removed().join("1")], paths.unsynced());
        if places.iter().any(|place| below(path, place).is_some()) {
            return Owner::Removed;
        }
        if path == paths.repositories() {
            return Owner::Engine("the names of all images");
        }
        let records = paths.record_directories();
        let mut known = records.iter().chain(&places).chain([&unsynced]);
        let known = known.any(|directory| directory.starts_with(path));
        if known { Owner::Engine("a directory of the records of images and layers") } else { Owner::Nobody }
    }
}

impl Image {
    /// How people are told about an image: its names, or that it has none, and the short id.
    #[must_use]
    pub fn title(&self) -> String {
        let names: Vec<String> =
            self.repo_tags.iter().chain(&self.repo_digests).map(types::Reference::familiar).collect();
        if names.is_empty() { self.id.short() } else { format!("{} ({})", names.join(", "), self.id.short()) }
    }
}

/// The first component of `path` below `directory`, and the rest; `None` where there is none.
fn below(path: &Path, directory: &Path) -> Option<(String, PathBuf)> {
    let mut rest = path.strip_prefix(directory).ok()?.components();
    let first = rest.next()?.as_os_str().to_string_lossy().into_owned();
    Some((first, rest.as_path().to_owned()))
}

/// Whose short name that is.
fn linked(state: &State, link: &str) -> Owner {
    let part = "short name";
    if let Some(entry) = state.layers.values().find(|entry| entry.slot.link == link) {
        return Owner::Layers { chains: vec![entry.layer.chain], part, inside: PathBuf::new() };
    }
    match state.containers.iter().find(|(_, layer)| layer.slot.link == link) {
        Some((id, _)) => Owner::Container { id: id.clone(), part, inside: PathBuf::new() },
        None if link == crate::init_layer::LINK => {
            Owner::Engine("the short name of what every container has between its image and its own layer")
        }
        None => Owner::Nobody,
    }
}

fn with_content(state: &State, diff: DiffId) -> Vec<ChainId> {
    let mut chains: Vec<ChainId> =
        state.layers.values().filter(|entry| entry.layer.diff == diff).map(|entry| entry.layer.chain).collect();
    chains.sort();
    chains
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DriverChoice, StoreConfig, VolumeRequest};

    #[test]
    fn every_path_has_an_owner() {
        let directory = tempfile::tempdir().expect("directory");
        let root = directory.path().join("data");
        let store = Store::open(StoreConfig { data_root: root.clone(), driver: DriverChoice::Vfs }).expect("open");
        store.create_volume(VolumeRequest { name: "vol".to_owned(), ..VolumeRequest::default() }).expect("volume");
        std::fs::write(root.join("volumes/vol/_data/file"), "x").expect("write");
        let container: ContainerId = "ab".repeat(32).parse().expect("id");
        store.create_layer(&container, None).expect("layer");
        let scratch = store.scratch("test").expect("scratch");
        let owner = |path: &str| store.owner(&root.join(path));
        let volume = |part, inside: &str| Owner::Volume { name: "vol".to_owned(), part, inside: inside.into() };
        assert_eq!(owner("volumes/vol/_data/file"), volume("files", "file"));
        assert_eq!(owner("volumes/vol/_data"), volume("files", ""));
        assert_eq!(owner("volumes/vol/opts.json"), volume("record", ""));
        assert_eq!((owner("volumes/other"), owner("image/vfs/x")), (Owner::Nobody, Owner::Nobody));
        assert_eq!((owner("tmp/left"), owner("containers/x")), (Owner::Nobody, Owner::Elsewhere));
        assert_eq!(store.owner(&scratch.path().join("deep/inside")), Owner::Work);
        assert_eq!(owner("image/vfs/removed/0/abc"), Owner::Removed);
        let mount = format!("image/vfs/layerdb/mounts/{container}/mount-id");
        assert!(matches!(owner(&mount), Owner::Container { part: "record of the writable layer", .. }));
        let mut pending = vec![root.clone()];
        while let Some(path) = pending.pop() {
            assert_ne!(store.owner(&path), Owner::Nobody, "{}", path.display());
            if path.is_dir() {
                pending.extend(std::fs::read_dir(&path).expect("list").flatten().map(|entry| entry.path()));
            }
        }
    }
}
