//! A container's writable layer becomes an image layer, and an image on top of another one (`docker commit`).

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use serde_json::Value;
use types::{ContainerId, Platform, Reference};

use crate::driver::Driver;
use crate::pack::{Content, Packer};
use crate::{ChangeKind, ContainerConfig, DiffId, Error, History, ImageConfig, ImageId, Layer, Lease, Result, Store};

/// Content of a layer without anything in it: the end mark of a tar.
const EMPTY: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// What an image says of itself that is made on top of another one.
#[derive(Clone, Debug, Default)]
pub struct ChildImage {
    /// The image below; `None` for none.
    pub parent: Option<ImageId>,
    /// Container defaults.
    pub config: ContainerConfig,
    /// Who made it.
    pub author: String,
    /// Commit message.
    pub comment: String,
    /// The command that made the layer.
    pub created_by: String,
    /// Version of the engine.
    pub engine_version: String,
    /// Further members of the document.
    pub other: Vec<(String, Value)>,
    /// What it is called from the moment it is there.
    pub names: Vec<Reference>,
}

impl Store {
    /// Makes a layer of what a container has written, on top of its image's layers. `None`: it has written nothing.
    ///
    /// # Errors
    /// [`Error::NoSuchContainerLayer`], [`Error::Redirected`], [`Error::MaxDepth`] or the file system's refusal.
    pub fn commit_layer(&self, lease: &Lease, container: &ContainerId) -> Result<Option<Layer>> {
        let parent = self.container_layer(container)?.parent;
        let layer = self.put_packed(lease, parent, |writer| self.pack_layer(container, writer))?;
        Ok(Some(layer).filter(|layer| !is_empty(layer.diff)))
    }

    /// Writes what a container has changed as a layer's tar, with whiteouts for what it has removed.
    ///
    /// # Errors
    /// As [`Store::commit_layer`], or [`Error::Stream`] when `writer` fails.
    pub fn pack_layer(&self, container: &ContainerId, writer: &mut (dyn Write + Send)) -> Result<()> {
        let layer = self.container_layer(container)?;
        let directory = self.0.driver.diff(&self.0.paths, &layer.slot.id);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, &directory, flags, Mode::empty())
            .map_err(|source| Error::io("open", &directory, source))?;
        match self.0.driver {
            Driver::Overlay2 => {
                let mut packer = Packer::new(writer, Content::OverlayLayer, None);
                packer.children(std::os::fd::AsFd::as_fd(&root), b"")?;
                packer.finish()?;
            }
            Driver::Vfs => {
                let mut packer = Packer::new(writer, Content::Files, None);
                for change in self.changes(container)? {
                    let path = Path::new(change.path.trim_start_matches('/'));
                    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
                    if change.kind == ChangeKind::Deleted {
                        packer.removed(path.as_os_str().as_bytes())?;
                        continue;
                    }
                    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
                    // The container may be at work.
                    let Ok(parent) = rustix::fs::openat2(&root, parent, flags, Mode::empty(), beneath) else {
                        continue;
                    };
                    let name = std::ffi::CString::new(name.as_bytes()).unwrap_or_default();
                    packer.entry(std::os::fd::AsFd::as_fd(&parent), &name, path.as_os_str().as_bytes(), false)?;
                }
                packer.finish()?;
            }
        }
        writer.flush().map_err(Error::Stream)
    }

    /// Registers an image made of another one and, unless it is `None`, a layer on top.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] or the file system's refusal.
    pub fn put_child_image(&self, lease: &Lease, layer: Option<&Layer>, child: ChildImage) -> Result<ImageId> {
        let below = child.parent.map(|parent| self.image(&parent)).transpose()?;
        let mut config = match &below {
            Some(image) => (*image.config).clone(),
            None => {
                let host = Platform::host();
                ImageConfig { architecture: host.architecture, os: host.os, ..ImageConfig::default() }
            }
        };
        let now = Timestamp::now().to_string();
        config.history.push(History {
            created: Some(now.clone()),
            created_by: child.created_by,
            author: child.author.clone(),
            comment: child.comment,
            empty_layer: layer.is_none(),
        });
        config.rootfs.diff_ids.extend(layer.map(|layer| layer.diff));
        // What else the document says is about the image below, but for the system it is for.
        config.other.retain(|key, _| key.starts_with("os."));
        config.other.extend(child.other);
        let config = ImageConfig {
            author: child.author,
            comment: String::new(),
            config: child.config,
            created: Some(now),
            docker_version: child.engine_version,
            ..config
        };
        let bytes = serde_json::to_vec(&config)
            .map_err(|error| Error::Document { what: "image configuration".to_owned(), reason: error.to_string() })?;
        match child.names.as_slice() {
            [] => self.put_image(lease, &bytes, child.parent),
            names => self.put_named_image(lease, &bytes, child.parent, names),
        }
    }
}

fn is_empty(diff: DiffId) -> bool {
    diff.to_string() == EMPTY
}
