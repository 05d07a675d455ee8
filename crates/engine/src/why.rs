//! `gantry system df --why`: whose a path below the data root is, in words.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use store::{ChainId, FsckOptions, Image, Owner, ProblemKind, Usage};
use types::ContainerId;

use crate::engine::Engine;
use crate::error::{Error, Invalid};

/// Whose a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The path, absolute.
    pub path: PathBuf,
    /// `engine`, `layer`, `image`, `container`, `log`, `volume`, `network`, `download`, `work`, `removed`, `nobody`.
    pub kind: &'static str,
    /// Whose it is, for people.
    pub owner: String,
    /// Where in a layer, a volume or a container's files; empty where that has no meaning.
    pub inside: PathBuf,
    /// Full ids of the images that have it.
    pub images: Vec<String>,
    /// Full ids of the containers that have or use it.
    pub containers: Vec<String>,
    /// What there is at the path and below it.
    pub usage: Usage,
}

/// What is said of an owner.
#[derive(Default)]
struct Said {
    kind: &'static str,
    owner: String,
    inside: PathBuf,
    images: Vec<String>,
    containers: Vec<ContainerId>,
}

impl Engine {
    /// Tells whose a path below the data root is; a relative one begins there.
    ///
    /// # Errors
    /// `InvalidParameter` for a path elsewhere, `NotFound` for one that is not there.
    pub async fn why(self: &Arc<Self>, path: &Path) -> Result<Why, Error> {
        let (engine, path) = (Arc::clone(self), path.to_owned());
        self.blocking(move || engine.owner_of(&path)).await
    }

    fn owner_of(&self, given: &Path) -> Result<Why, Error> {
        let path = self.below_data_root(given)?;
        let said = match self.store.owner(&path) {
            Owner::Elsewhere => self.own_files(&path),
            Owner::Nobody => self.of_nobody(&path)?,
            owner => self.say(owner),
        };
        let usage = self.store.usage_of(&path);
        let containers = said.containers.iter().map(ToString::to_string).collect();
        let Said { kind, owner, inside, images, .. } = said;
        Ok(Why { path, kind, owner, inside, images, containers, usage })
    }

    /// The path without links on its way, as the records have it.
    fn below_data_root(&self, given: &Path) -> Result<PathBuf, Error> {
        let root = &self.config.data_root;
        let outside = || Invalid::OutsideDataRoot { path: given.display().to_string(), root: root.clone() };
        let whole: PathBuf = root.join(given).components().filter(|part| *part != Component::CurDir).collect();
        let missing = || Error::NoSuchFile(whole.clone());
        let real_root = root.canonicalize().map_err(Error::file("resolve", root))?;
        // What a link is, is asked; not where it leads.
        let (parent, name) = match (whole.parent(), whole.file_name()) {
            (Some(parent), Some(name)) if whole != *root => (parent, name),
            _ => (whole.as_path(), std::ffi::OsStr::new("")),
        };
        let parent = parent.canonicalize().map_err(|_| missing())?;
        let real = if name.is_empty() { parent } else { parent.join(name) };
        let below = real.strip_prefix(&real_root).map_err(|_| outside())?;
        real.symlink_metadata().map_err(|_| missing())?;
        Ok(if below.as_os_str().is_empty() { root.clone() } else { root.join(below) })
    }

    fn say(&self, owner: Owner) -> Said {
        match owner {
            Owner::Engine(what) => Said { kind: "engine", owner: what.to_owned(), ..Said::default() },
            Owner::Layers { chains, part, inside } => self.of_layers(&chains, part, inside),
            Owner::Image { id, part } => {
                let title = self.store.image(&id).map_or_else(|_| id.short(), |image| image.title());
                let images = vec![id.to_string()];
                Said { kind: "image", owner: format!("{part} of image {title}"), images, ..Said::default() }
            }
            Owner::Container { id, part, inside } => Said { inside, ..self.of_container("container", part, &id) },
            Owner::Volume { name, part, inside } => {
                let containers: Vec<ContainerId> = self.volume_references.containers_of(&name).into_iter().collect();
                let users: Vec<String> = containers.iter().map(|id| self.container_title(id)).collect();
                let used = if users.is_empty() { "no container".to_owned() } else { users.join(", ") };
                let owner = format!("{part} of volume {name}, used by {used}");
                Said { kind: "volume", owner, inside, containers, ..Said::default() }
            }
            Owner::Download { blob, running } => {
                let state = if running { "download in progress" } else { "interrupted download, to be continued" };
                Said { kind: "download", owner: format!("{state} of blob {blob}"), ..Said::default() }
            }
            Owner::Work => Said { kind: "work", owner: "work in progress".to_owned(), ..Said::default() },
            Owner::Removed => Said { kind: "removed", owner: "removed, being freed".to_owned(), ..Said::default() },
            Owner::Elsewhere | Owner::Nobody => nobody("nobody's: nothing that the engine knows mentions it"),
        }
    }

    fn of_layers(&self, chains: &[ChainId], part: &str, inside: PathBuf) -> Said {
        let all = self.store.images();
        let has = |image: &&Arc<Image>| chains.iter().any(|chain| image.chain.contains(chain));
        let images: Vec<&Arc<Image>> = all.iter().filter(has).collect();
        let uses = |id: &ContainerId| self.store.layers_of_container(id).iter().any(|layer| chains.contains(layer));
        let containers: Vec<ContainerId> = self.store.container_layers().into_iter().filter(uses).collect();
        let names: Vec<String> = chains.iter().map(ToString::to_string).collect();
        let word = if names.len() == 1 { "layer" } else { "layers" };
        let mut owner = format!("{part} of {word} {}", names.join(", "));
        let mut titles = images.iter().map(|image| image.title());
        match titles.next() {
            Some(first) => owner.push_str(&format!(" of image {first}")),
            None if containers.is_empty() => owner.push_str(", which is being made or removed"),
            None => owner.push_str(" of an image that is gone"),
        }
        let others: Vec<String> = titles.collect();
        if !others.is_empty() {
            owner.push_str(&format!("; also of {}", others.join("; ")));
        }
        if !containers.is_empty() {
            let users: Vec<String> = containers.iter().map(|id| self.container_title(id)).collect();
            owner.push_str(&format!("; below container {}", users.join(", ")));
        }
        let images = images.iter().map(|image| image.id.to_string()).collect();
        Said { kind: "layer", owner, inside, images, containers }
    }

    fn of_container(&self, kind: &'static str, part: &str, id: &ContainerId) -> Said {
        let owner = format!("{part} of container {}", self.container_title(id));
        Said { kind, owner, containers: vec![id.clone()], ..Said::default() }
    }

    /// `web (0123456789ab)`.
    fn container_title(&self, id: &ContainerId) -> String {
        match self.containers.by_id(id) {
            Some(container) => format!("{} ({})", container.name(), id.short()),
            None if self.containers.is_known(id) => format!("{}, which is being made", id.short()),
            None => format!("{}, which is being made or removed", id.short()),
        }
    }

    /// Containers' directories, networks' records, and what stands in the root itself.
    fn own_files(&self, path: &Path) -> Said {
        let said = |kind, owner: &str| Said { kind, owner: owner.to_owned(), ..Said::default() };
        if let Ok(rest) = path.strip_prefix(self.paths.containers()) {
            return self.container_files(rest);
        }
        if let Ok(rest) = path.strip_prefix(self.config.data_root.join("network")) {
            return self.network_files(rest);
        }
        match path.strip_prefix(&self.config.data_root).ok().and_then(Path::to_str) {
            Some("engine-id") => said("engine", "the engine's identity"),
            Some("gantry.lock") => said("engine", "keeps a second daemon off this data root"),
            _ => nobody("nobody's: the engine did not make it and never removes it"),
        }
    }

    fn container_files(&self, rest: &Path) -> Said {
        let name = rest.iter().next().map(|name| name.to_string_lossy()).unwrap_or_default();
        let draft = name.strip_suffix(crate::paths::DRAFT);
        let Ok(id) = draft.unwrap_or(&name).parse::<ContainerId>() else {
            return nobody("nobody's: not the directory of a container");
        };
        match (self.containers.by_id(&id), draft) {
            (_, Some(_)) if self.containers.is_known(&id) => {
                Said { kind: "work", ..self.of_container("work", "directory", &id) }
            }
            (Some(_), None) => {
                let (kind, part) = container_part(rest);
                self.of_container(kind, part, &id)
            }
            (None, None) if self.containers.is_known(&id) => self.of_container("work", "directory", &id),
            _ => nobody("nobody's: of a container that is not there"),
        }
    }

    fn network_files(&self, rest: &Path) -> Said {
        let said = |kind, owner: String| Said { kind, owner, ..Said::default() };
        if rest == Path::new("networks.json") {
            return said("engine", "the identities of the predefined networks".to_owned());
        }
        if ["config", "driver"].iter().any(|directory| rest == Path::new(directory)) {
            return said("engine", "a directory of networks' records".to_owned());
        }
        let id = rest.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".json"));
        let network = id.and_then(|id| self.network.networks().into_iter().find(|network| network.id.as_str() == id));
        match network {
            Some(network) => said("network", format!("record of network {} ({})", network.name, network.id.short())),
            None => nobody("nobody's: not the record of a network"),
        }
    }

    /// Only what the check of the data root would remove is said to be removable.
    fn of_nobody(&self, path: &Path) -> Result<Said, Error> {
        let known = |id: &ContainerId| self.containers.is_known(id) || self.paths.spec(id).exists();
        let report = self.store.fsck(FsckOptions::default(), &known)?;
        let orphan = report
            .problems
            .iter()
            .find(|problem| problem.kind == ProblemKind::Orphan && path.starts_with(&problem.path));
        Ok(match orphan {
            Some(found) => nobody(&format!("nobody's ({}): `gantry system fsck --repair` removes it", found.message)),
            // What was being made when the owner was asked for has one now.
            None => match self.store.owner(path) {
                Owner::Nobody => nobody("nobody's: the engine did not make it and never removes it"),
                owner => self.say(owner),
            },
        })
    }
}

fn nobody(owner: &str) -> Said {
    Said { kind: "nobody", owner: owner.to_owned(), ..Said::default() }
}

/// What a file of a container's directory is.
fn container_part(rest: &Path) -> (&'static str, &'static str) {
    let file = rest.iter().nth(1).map(|name| name.to_string_lossy()).unwrap_or_default();
    match file.as_ref() {
        "" => ("container", "directory"),
        "config.json" => ("container", "specification"),
        "state.json" => ("container", "name and state"),
        "health.json" => ("container", "results of health checks"),
        "hosts" | "hostname" | "resolv.conf" => ("container", "name file"),
        "mounts" => ("container", "mount point"),
        "local-logs" => ("log", "log"),
        log if log.contains("-json.log") || log.starts_with("container-cached.log") => ("log", "log"),
        _ => ("container", "file"),
    }
}
