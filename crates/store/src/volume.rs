//! Volumes of the local driver: `volumes/<name>/_data`.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};
use types::{ContainerId, Mount};

use crate::driver::{make_directory, random_id};
use crate::paths::Paths;
use crate::{Error, Result, Store};

/// Docker's mark of a volume without a name.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Unique here; 64 hexadecimal digits for an anonymous one.
    pub name: String,
    /// Always `local`.
    pub driver: String,
    /// The directory that is mounted into containers.
    pub mountpoint: PathBuf,
    /// RFC 3339 time.
    pub created_at: String,
    /// Labels; an anonymous volume carries `com.docker.volume.anonymous`.
    pub labels: BTreeMap<String, String>,
    /// Driver options as given.
    pub options: BTreeMap<String, String>,
    /// Made without a name (`docker run --rm` removes it with its container).
    pub anonymous: bool,
}

/// A volume to create.
#[derive(Clone, Debug, Default)]
pub struct VolumeRequest {
    /// `None` draws a random name and makes it anonymous.
    pub name: Option<String>,
    /// Empty or `local`.
    pub driver: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
}

impl Volume {
    /// What to mount below the mount point first, when the options name a device (`type`, `device`, `o`).
    #[must_use]
    pub fn backing(&self) -> Option<Mount> {
        let device = self.options.get("device")?;
        let kind = self.options.get("type").cloned().unwrap_or_default();
        let options = self.options.get("o").map(String::as_str).unwrap_or_default();
        Some(Mount {
            destination: self.mountpoint.display().to_string(),
            kind,
            source: device.clone(),
            options: options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect(),
        })
    }
}

impl Store {
    /// Creates a volume, or returns the one of that name.
    ///
    /// # Errors
    /// [`Error::VolumeName`], [`Error::VolumeDriver`], [`Error::VolumeOption`] or the file system's refusal.
    pub fn create_volume(&self, request: VolumeRequest) -> Result<Volume> {
        let anonymous = request.name.as_deref().unwrap_or_default().is_empty();
        let name = request.name.filter(|name| !name.is_empty()).unwrap_or_else(random_id);
        if !matches!(request.driver.as_str(), "" | "local") {
            return Err(Error::VolumeDriver(request.driver));
        }
        check_name(&name)?;
        check_options(&name, &request.options)?;
        let mut volumes = self.volumes_locked();
        if let Some(volume) = volumes.get(&name) {
            return Ok(volume.clone());
        }
        let mut labels = request.labels;
        if anonymous {
            labels.insert(ANONYMOUS.to_owned(), String::new());
        }
        let directory = self.0.paths.volume(&name);
        let volume = Volume {
            name: name.clone(),
            driver: "local".to_owned(),
            mountpoint: directory.join("_data"),
            created_at: jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string(),
            labels,
            options: request.options,
            anonymous,
        };
        // Put together where every start tidies up; the rename makes it a volume, whole.
        let draft = self.0.paths.tmp().join(format!("volume-{}", random_id()));
        let made = write_volume(&draft, &volume).and_then(|()| {
            fs::rename(&draft, &directory).map_err(|source| Error::io("create volume", &directory, source))
        });
        if made.is_err() {
            let _ = fs::remove_dir_all(&draft);
        }
        made?;
        volumes.insert(name, volume.clone());
        Ok(volume)
    }

    /// All volumes, sorted by name.
    #[must_use]
    pub fn volumes(&self) -> Vec<Volume> {
        self.volumes_locked().values().cloned().collect()
    }

    /// One volume.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`].
    pub fn volume(&self, name: &str) -> Result<Volume> {
        self.volumes_locked().get(name).cloned().ok_or_else(|| Error::NoSuchVolume(name.to_owned()))
    }

    /// Removes a volume and its files. With `force`, one that is not there is no error.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::VolumeInUse`] when `users` is not empty, or the file system's refusal.
    pub fn remove_volume(&self, name: &str, force: bool, users: &[ContainerId]) -> Result<()> {
        let mut volumes = self.volumes_locked();
        if !volumes.contains_key(name) {
            return if force { Ok(()) } else { Err(Error::NoSuchVolume(name.to_owned())) };
        }
        if !users.is_empty() {
            let users = users.iter().map(ToString::to_string).collect();
            return Err(Error::VolumeInUse { name: name.to_owned(), users });
        }
        self.0.sweeper.take(&[self.0.paths.volume(name)])?;
        volumes.remove(name);
        Ok(())
    }

    /// Bytes of all files in a volume, files with several names once.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`] or the file system's refusal.
    pub fn volume_size(&self, name: &str) -> Result<u64> {
        crate::changes::tree_size(&self.volume(name)?.mountpoint)
    }

    /// Copies what the container's image has at `path` into the volume, when the volume is empty: files with
    /// owners, modes, times, links and extended attributes. Does nothing when the image has no directory there.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::NoSuchContainerLayer`] or the file system's refusal.
    pub fn copy_up(&self, container: &ContainerId, path: &str, volume: &str) -> Result<()> {
        let target = self.volume(volume)?.mountpoint;
        let empty = fs::read_dir(&target).map_err(|source| Error::io("readdir", &target, source))?.next().is_none();
        if !empty || !self.image_may_have(container, path) {
            return Ok(());
        }
        self.with_rootfs(container, |root| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let Ok(source) = rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) else { return Ok(()) };
            let opened =
                rustix::fs::open(&target, flags, Mode::empty()).map_err(|source| Error::io("open", &target, source))?;
            crate::copy::copy_directory(source.as_fd(), opened.as_fd(), &target)
        })?
    }

    /// A cheap look before the mount: when no layer has anything at the first component, there is nothing.
    fn image_may_have(&self, container: &ContainerId, path: &str) -> bool {
        let Ok(layer) = self.container_layer(container) else { return true };
        let Some(first) = path.split('/').find(|component| !matches!(*component, "" | "." | "..")) else { return true };
        let state = self.0.state();
        let init = self.0.driver.diff(&self.0.paths, &layer.init);
        std::iter::once(init)
            .chain(state.slots_below(layer.parent).iter().map(|slot| self.0.driver.diff(&self.0.paths, &slot.id)))
            .any(|diff| diff.join(first).symlink_metadata().is_ok())
    }

    fn volumes_locked(&self) -> MutexGuard<'_, BTreeMap<String, Volume>> {
        self.0.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the volumes of a data root.
pub(crate) fn read_all(paths: &Paths) -> BTreeMap<String, Volume> {
    let mut volumes = BTreeMap::new();
    for name in crate::records::list(&paths.volumes()) {
        let directory = paths.volume(&name);
        let Ok(bytes) = fs::read(directory.join("opts.json")) else { continue };
        match serde_json::from_slice::<Volume>(&bytes) {
            // The data root may have moved.
            Ok(volume) => drop(volumes.insert(name, Volume { mountpoint: directory.join("_data"), ..volume })),
            Err(error) => tracing::warn!(volume = name, %error, "leaving out a volume"),
        }
    }
    volumes
}

fn write_volume(directory: &Path, volume: &Volume) -> Result<()> {
    make_directory(directory, 0o701)?;
    crate::driver::make_directory_all(&directory.join("_data"), 0o755)?;
    let path = directory.join("opts.json");
    let bytes = serde_json::to_vec(volume)
        .map_err(|error| Error::Document { what: path.display().to_string(), reason: error.to_string() })?;
    sys::atomic_file::write_atomic(&path, &bytes, 0o600).map_err(|source| Error::io("write", &path, source))
}

fn check_name(name: &str) -> Result<()> {
    if name.len() == 1 {
        return Err(Error::VolumeNameTooShort(name.to_owned()));
    }
    let mut bytes = name.bytes();
    let valid = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if valid { Ok(()) } else { Err(Error::VolumeName(name.to_owned())) }
}

fn check_options(name: &str, options: &BTreeMap<String, String>) -> Result<()> {
    let invalid = |option: &str| Error::VolumeOption { name: name.to_owned(), option: option.to_owned() };
    match options.keys().find(|key| !matches!(key.as_str(), "type" | "o" | "device")) {
        Some(unknown) => Err(invalid(unknown)),
        None if !options.is_empty() && !options.contains_key("device") => Err(invalid("device")),
        None => Ok(()),
    }
}
