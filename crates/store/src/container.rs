//! Container layers: the writable directory on top of an image, and its root file system as data.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::mount::MountFlags;
use types::{ContainerId, Mount};

use crate::driver::{self, Driver, Slot, make_directory, open_directory, write};
use crate::state::ContainerLayer;
use crate::{ChainId, Error, ImageId, Result, Store};

/// A root file system that somebody else mounts.
#[derive(Clone, Debug)]
pub struct Rootfs {
    /// Where the container's root appears (`overlay2/<id>/merged`); exists, empty.
    pub target: PathBuf,
    /// What to mount, in order; destinations are absolute on the host. Empty for the vfs driver.
    pub mounts: Vec<Mount>,
}

/// The `GraphDriver.Data` member of an inspection. The vfs driver has none of the paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphDriverData {
    /// Colon-joined `diff` directories, topmost first; `None` for a base layer.
    pub lower_dir: Option<String>,
    /// `<id>/merged`.
    pub merged_dir: Option<String>,
    /// `<id>/diff`.
    pub upper_dir: Option<String>,
    /// `<id>/work`.
    pub work_dir: Option<String>,
}

impl Store {
    /// Makes the writable layer of a container and its `-init` layer on top of `image`.
    ///
    /// # Errors
    /// [`Error::ContainerLayerExists`], [`Error::NoSuchImage`], or the file system's refusal, after which
    /// nothing is left.
    pub fn create_layer(&self, container: &ContainerId, image: Option<ImageId>) -> Result<()> {
        self.create_limited_layer(container, image, 0)
    }

    /// As [`Store::create_layer`], with a limit in bytes on what the container writes; 0 for none.
    ///
    /// # Errors
    /// As there, and [`Error::NoLayerLimit`] where the file system keeps no such limits.
    pub fn create_limited_layer(&self, container: &ContainerId, image: Option<ImageId>, limit: u64) -> Result<()> {
        if limit > 0
            && let Some(reason) = self.0.quotas.missing()
        {
            return Err(Error::NoLayerLimit(reason));
        }
        self.0.sweeper.yield_to_others();
        let id = driver::random_id();
        let init = format!("{id}-init");
        let parent = {
            let mut state = self.0.state();
            let parent = match image {
                None => None,
                Some(id) => state.images.get(&id).ok_or_else(|| Error::NoSuchImage(id.to_string()))?.top(),
            };
            if state.containers.contains_key(container) {
                return Err(Error::ContainerLayerExists(container.to_string()));
            }
            // Entered first: it keeps the layers below while ours is made.
            let slot = Slot { id: id.clone(), ..Slot::default() };
            let layer = ContainerLayer { slot, init: init.clone(), parent, image, pinned: Vec::new() };
            state.containers.insert(container.clone(), layer);
            parent
        };
        match self.make_container_layer(container, &id, &init, parent, limit) {
            Ok(slot) => {
                image.iter().for_each(|image| self.use_image(image));
                if let Some(layer) = self.0.state().containers.get_mut(container) {
                    layer.slot = slot;
                }
                Ok(())
            }
            Err(error) => {
                // The first error is the one to report.
                let _ = self.remove_layer(container);
                Err(error)
            }
        }
    }

    fn make_container_layer(
        &self,
        container: &ContainerId,
        id: &str,
        init: &str,
        parent: Option<ChainId>,
        limit: u64,
    ) -> Result<Slot> {
        let inner = &self.0;
        let below = {
            let state = inner.state();
            parent.and_then(|parent| Some(state.layers.get(&parent)?.slot.clone()))
        };
        let init_slot = inner.init_layers.make(inner.driver, &inner.paths, init, below.as_ref())?;
        let slot = inner.driver.make(&inner.paths, id, init_slot.lower_of_child())?;
        if limit > 0 {
            self.limit_layer(id, limit)?;
        }
        if inner.driver == Driver::Vfs {
            crate::copy::copy_tree(&inner.paths.layer(init), &inner.paths.layer(id))?;
        }
        self.write_mount_record(container, id, init, parent)?;
        Ok(slot)
    }

    /// While the layer is empty: with overlay, what is written and what is on its way there count.
    fn limit_layer(&self, id: &str, limit: u64) -> Result<()> {
        let directory = self.0.paths.layer(id);
        let (diff, work) = (directory.join("diff"), directory.join("work"));
        match self.0.driver {
            Driver::Overlay2 if work.is_dir() => self.0.quotas.limit(&[&directory, &diff, &work], limit),
            Driver::Overlay2 => self.0.quotas.limit(&[&directory, &diff], limit),
            Driver::Vfs => self.0.quotas.limit(&[&directory], limit),
        }
    }

    /// Put together in the directory that every start empties; the rename makes it a record, whole.
    fn write_mount_record(&self, container: &ContainerId, id: &str, init: &str, parent: Option<ChainId>) -> Result<()> {
        let paths = &self.0.paths;
        let (draft, record) = (paths.layer_records_tmp().join(container.as_str()), paths.mount(container));
        make_directory(&draft, 0o700)?;
        write(&draft.join("mount-id"), id.as_bytes())?;
        write(&draft.join("init-id"), init.as_bytes())?;
        if let Some(parent) = parent {
            write(&draft.join("parent"), parent.to_string().as_bytes())?;
        }
        fs::rename(&draft, &record).map_err(|source| Error::io("rename", &record, source))
    }

    /// Takes the mount point away that [`Store::rootfs`] made, once nothing is mounted there. It is made again when
    /// needed, so a failure is of no consequence.
    pub fn leave_rootfs(&self, container: &ContainerId) {
        if self.0.driver == Driver::Vfs {
            return;
        }
        if let Ok(layer) = self.container_layer(container) {
            let _ = rustix::fs::rmdir(self.0.paths.layer(&layer.slot.id).join("merged"));
        }
    }

    /// The root file system of a container as data; makes the empty mount point.
    ///
    /// # Errors
    /// [`Error::NoSuchContainerLayer`] or the file system's refusal.
    pub fn rootfs(&self, container: &ContainerId) -> Result<Rootfs> {
        self.0.sweeper.yield_to_others();
        let layer = self.container_layer(container)?;
        let directory = self.0.paths.layer(&layer.slot.id);
        if self.0.driver == Driver::Vfs {
            return Ok(Rootfs { target: directory, mounts: Vec::new() });
        }
        let target = directory.join("merged");
        match rustix::fs::mkdir(&target, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(source) => return Err(Error::io("mkdir", &target, source)),
        }
        let lower: Vec<String> =
            layer.slot.lower.split(':').map(|link| self.0.paths.layers().join(link).display().to_string()).collect();
        let mount = Mount {
            destination: target.display().to_string(),
            kind: "overlay".to_owned(),
            source: "overlay".to_owned(),
            options: vec![
                format!("lowerdir={}", lower.join(":")),
                format!("upperdir={}", directory.join("diff").display()),
                format!("workdir={}", directory.join("work").display()),
            ],
        };
        Ok(Rootfs { target, mounts: vec![mount] })
    }

    /// Removes the mount point that [`Store::rootfs`] made; call when the container has stopped. Never fails
    /// visibly: the directory of a container that starts again is made again.
    pub fn release_rootfs(&self, container: &ContainerId) {
        if let (Driver::Overlay2, Ok(layer)) = (self.0.driver, self.container_layer(container)) {
            let _ = self.0.sweeper.take(&[self.0.paths.layer(&layer.slot.id).join("merged")]);
        }
    }

    /// Containers that have a layer here; those that the caller does not know it should remove.
    #[must_use]
    pub fn container_layers(&self) -> Vec<ContainerId> {
        self.0.state().containers.keys().cloned().collect()
    }

    /// Removes a container's layer; the space is free a moment later, see [`Store::settle`]. Removing what is
    /// not there succeeds.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn remove_layer(&self, container: &ContainerId) -> Result<()> {
        let inner = &self.0;
        let Some(layer) = inner.state().containers.get(container).cloned() else { return Ok(()) };
        // The record goes first: what a crash leaves then is swept at the next start.
        let mut parts = vec![inner.paths.mount(container), inner.paths.layer_records_tmp().join(container.as_str())];
        parts.extend(inner.driver.parts(&inner.paths, &layer.slot.id));
        parts.extend(inner.driver.parts(&inner.paths, &layer.init));
        inner.sweeper.take(&parts)?;
        inner.state().containers.remove(container);
        for top in layer.parent.into_iter().chain(layer.pinned) {
            // The last user of layers whose image was removed by force.
            self.collect(top);
        }
        Ok(())
    }

    /// Bytes that the container has written (`SizeRw`).
    ///
    /// # Errors
    /// [`Error::NoSuchContainerLayer`] or the file system's refusal.
    pub fn layer_size(&self, container: &ContainerId) -> Result<u64> {
        let layer = self.container_layer(container)?;
        match self.0.driver {
            Driver::Overlay2 => crate::changes::tree_size(&self.0.paths.layer(&layer.slot.id).join("diff")),
            Driver::Vfs => {
                let size = |id: &str| crate::changes::tree_size(&self.0.paths.layer(id));
                Ok(size(&layer.slot.id)?.saturating_sub(size(&layer.init)?))
            }
        }
    }

    /// Driver paths of a container for `inspect`.
    ///
    /// # Errors
    /// [`Error::NoSuchContainerLayer`].
    pub fn graph_driver_data(&self, container: &ContainerId) -> Result<GraphDriverData> {
        Ok(self.driver_data(&self.container_layer(container)?.slot))
    }

    /// Driver paths of an image layer for `inspect`.
    ///
    /// # Errors
    /// [`Error::NoSuchLayer`].
    pub fn graph_driver_data_of_chain(&self, chain: &ChainId) -> Result<GraphDriverData> {
        let state = self.0.state();
        let entry = state.layers.get(chain).ok_or_else(|| Error::NoSuchLayer(chain.to_string()))?;
        Ok(self.driver_data(&entry.slot))
    }

    fn driver_data(&self, slot: &Slot) -> GraphDriverData {
        if self.0.driver == Driver::Vfs {
            return GraphDriverData::default();
        }
        let directory = self.0.paths.layer(&slot.id);
        let of = |name: &str| Some(directory.join(name).display().to_string());
        let resolve = |link: &str| {
            let link = self.0.paths.layers().join(link);
            // The link is ours and always reads `../<layer>/diff`.
            let target = fs::read_link(&link).ok();
            let target = target.as_ref().and_then(|target| target.strip_prefix("..").ok());
            target.map_or(link.clone(), |target| self.0.paths.layers().join(target)).display().to_string()
        };
        let lower: Vec<String> = slot.lower.split(':').filter(|link| !link.is_empty()).map(resolve).collect();
        GraphDriverData {
            lower_dir: (!lower.is_empty()).then(|| lower.join(":")),
            merged_dir: of("merged"),
            upper_dir: of("diff"),
            work_dir: of("work"),
        }
    }

    /// Runs `work` with a descriptor of the container's complete root file system, mounted privately for the
    /// duration: for `cp`, `export`, copy-up and account look-ups of containers that do not run.
    ///
    /// # Errors
    /// [`Error::NoSuchContainerLayer`] or the kernel's refusal to mount.
    pub fn with_rootfs<T: Send>(
        &self,
        container: &ContainerId,
        work: impl FnOnce(BorrowedFd<'_>) -> T + Send,
    ) -> Result<T> {
        let layer = self.container_layer(container)?;
        if self.0.driver == Driver::Vfs {
            let root = open_directory(&self.0.paths.layer(&layer.slot.id))?;
            return Ok(work(root.as_fd()));
        }
        let options = format!("lowerdir={},upperdir={id}/diff,workdir={id}/work", layer.slot.lower, id = layer.slot.id);
        // Any directory will do as a mount point; in the new namespace nobody misses what is below it.
        self.with_overlay(&options, &self.0.paths.tmp(), work)
    }

    /// Mounts an overlay with options relative to the driver's directory, where nobody else sees it; what is below
    /// `point` is out of reach for the work.
    pub(crate) fn with_overlay<T: Send>(
        &self,
        options: &str,
        point: &Path,
        work: impl FnOnce(BorrowedFd<'_>) -> T + Send,
    ) -> Result<T> {
        let layers = self.0.paths.layers();
        let failed = |source: rustix::io::Errno| Error::io("mount overlay in", layers, source);
        let options = CString::new(options).map_err(|_| failed(rustix::io::Errno::INVAL))?;
        sys::private_mounts::with_private_mounts(|| {
            rustix::process::chdir(layers).map_err(failed)?;
            rustix::mount::mount("overlay", point, "overlay", MountFlags::empty(), options.as_c_str())
                .map_err(failed)?;
            let root = open_directory(point)?;
            Ok(work(root.as_fd()))
        })
        .map_err(|source| Error::io("unshare mounts for", layers, source))?
    }

    pub(crate) fn container_layer(&self, container: &ContainerId) -> Result<ContainerLayer> {
        let state = self.0.state();
        state.containers.get(container).cloned().ok_or_else(|| Error::NoSuchContainerLayer(container.to_string()))
    }
}
