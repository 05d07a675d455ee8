//! Volumes of the local driver: `volumes/<name>/_data`.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};
use types::ContainerId;

use crate::driver::{make_directory, random_id};
use crate::paths::Paths;
use crate::{Error, Result, Store};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Docker's mark of a volume without a name.
pub(crate) const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Unique here; 64 hexadecimal digits for an anonymous one.
    pub name: String,
    /// `local`, or the name of a plugin.
    pub driver: String,
    /// The directory that is mounted into containers. A plugin's may be empty while nobody uses the volume.
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
    /// Name; [`random_volume_name`] draws one.
    pub name: String,
    /// Nobody gave it its name.
    pub anonymous: bool,
    /// `local`, the name of a plugin, or empty: whichever has the volume, `local` when none does.
    pub driver: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
}

impl Store {
    /// Creates a volume, or returns the one of that name.
    ///
    /// # Errors
    /// [`Error::VolumeName`], [`Error::VolumeDriver`], [`Error::VolumeOption`], those of [`Store::make_volume`], or the
    /// file system's refusal.
    pub fn create_volume(&self, request: VolumeRequest) -> Result<Volume> {
        self.make_volume(request).map(|made| made.volume)
    }

    /// Creates a volume of the local driver, or returns the one of that name; and whether it is new.
    pub(crate) fn create_local(&self, request: VolumeRequest) -> Result<(Volume, bool)> {
        check_name(&request.name)?;
        let limit = check_options(&request.name, &request.options)?;
        let mut volumes = self.volumes_locked();
        if let Some(volume) = volumes.get(&request.name) {
            return Ok((volume.clone(), false));
        }
        if let Some(other) = self.0.plugin_volumes.known(&request.name) {
            return Err(crate::volume_plugin::conflict(&request.name, &other.driver));
        }
        let directory = self.0.paths.volume(&request.name);
        let volume = Volume {
            labels: labels(&request),
            name: request.name,
            driver: "local".to_owned(),
            mountpoint: directory.join("_data"),
            created_at: now(),
            options: request.options,
            anonymous: request.anonymous,
        };
        // Put together where every start tidies up; the rename makes it a volume, whole.
        let draft = self.0.paths.tmp().join(format!("volume-{}", random_id()));
        let _mark = self.0.unfinished.mark(&draft);
        let limited = |()| self.limit_volume(&draft, &volume.name, limit);
        let made = write_volume(&draft, &volume).and_then(limited).and_then(|()| {
            fs::rename(&draft, &directory).map_err(|source| Error::io("create volume", &directory, source))
        });
        if made.is_err() {
            let _ = fs::remove_dir_all(&draft);
        }
        made?;
        volumes.insert(volume.name.clone(), volume.clone());
        Ok((volume, true))
    }

    /// Limits a volume that is still empty.
    fn limit_volume(&self, directory: &Path, name: &str, limit: u64) -> Result<()> {
        if limit == 0 {
            return Ok(());
        }
        if let Some(missing) = self.0.quotas.missing() {
            let reason = format!("quota size requested but no quota support: {missing}");
            return Err(Error::VolumeOption { name: name.to_owned(), reason });
        }
        self.0.quotas.limit(&[&directory.join("_data")], limit)
    }

    /// All volumes of the local driver, sorted by name. [`Store::list_volumes`] has those of plugins too.
    #[must_use]
    pub fn volumes(&self) -> Vec<Volume> {
        self.volumes_locked().values().cloned().collect()
    }

    /// One volume. One of a plugin is as it was last seen: [`Store::volume_details`] asks.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`].
    pub fn volume(&self, name: &str) -> Result<Volume> {
        let known = self.local_volume(name).or_else(|| self.0.plugin_volumes.known(name));
        known.ok_or_else(|| Error::NoSuchVolume(name.to_owned()))
    }

    pub(crate) fn local_volume(&self, name: &str) -> Option<Volume> {
        self.volumes_locked().get(name).cloned()
    }

    /// Removes a volume and its files; the caller knows that no container refers to it. With `force`, one that is not
    /// there is no error.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::VolumeInUse`] while what backs it is mounted, [`Error::VolumePlugin`], or the
    /// file system's refusal.
    pub fn remove_volume(&self, name: &str, force: bool) -> Result<()> {
        if let Some(removed) = self.remove_at_plugin(name, force) {
            return removed;
        }
        let mut volumes = self.volumes_locked();
        if !volumes.contains_key(name) {
            return if force { Ok(()) } else { Err(Error::NoSuchVolume(name.to_owned())) };
        }
        if let Some(volume) = volumes.get(name) {
            self.detach_volume(volume)?;
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
        let held = self.use_volume(name)?;
        crate::changes::tree_size(held.path())
    }

    /// Copies what the container's image has at `path` into the volume, or the directory `subpath` of it, when that is
    /// empty: files with owners, modes, times, links and extended attributes. Does nothing when the image has no
    /// directory there.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::NoSuchContainerLayer`], [`Error::VolumeMount`] or the file system's refusal.
    pub fn copy_up(&self, container: &ContainerId, path: &str, volume: &str, subpath: &str) -> Result<()> {
        if !self.image_may_have(container, path) {
            return Ok(());
        }
        let held = self.use_volume(volume)?;
        let target = held.path().join(subpath);
        let into = crate::subpath::open_below(held.path(), subpath)?;
        // A file takes the place of the image's directory; it is not filled.
        let Ok(into) = rustix::fs::openat(&into, c".", DIRECTORY, Mode::empty()) else { return Ok(()) };
        let failed = |source: rustix::io::Errno| Error::io("readdir", &target, source);
        let mut entries = rustix::fs::Dir::read_from(&into).map_err(failed)?;
        if entries.any(|entry| entry.is_ok_and(|entry| !matches!(entry.file_name().to_bytes(), b"." | b".."))) {
            return Ok(());
        }
        self.with_rootfs(container, |root| {
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let Ok(source) = rustix::fs::openat2(root, path, DIRECTORY, Mode::empty(), resolve) else {
                return Ok(());
            };
            crate::copy::copy_directory(source.as_fd(), into.as_fd(), &target)
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

    pub(crate) fn volumes_locked(&self) -> MutexGuard<'_, BTreeMap<String, Volume>> {
        self.0.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that no volume has: 64 hexadecimal digits.
#[must_use]
pub fn random_volume_name() -> String {
    random_id()
}

/// The labels of a volume to come.
pub(crate) fn labels(request: &VolumeRequest) -> BTreeMap<String, String> {
    let mut labels = request.labels.clone();
    if request.anonymous {
        labels.insert(ANONYMOUS.to_owned(), String::new());
    }
    labels
}

/// Reads the volumes of a data root.
pub(crate) fn read_all(paths: &Paths) -> BTreeMap<String, Volume> {
    let mut volumes = BTreeMap::new();
    for name in crate::records::list(&paths.volumes()) {
        let directory = paths.volume(&name);
        let Ok(bytes) = fs::read(directory.join("opts.json")) else { continue };
        match serde_json::from_slice::<Volume>(&bytes) {
            Ok(volume) => {
                let volume = crate::volume_rename::completed(&directory, &name, volume);
                // The data root may have moved.
                volumes.insert(name, Volume { mountpoint: directory.join("_data"), ..volume });
            }
            Err(error) => tracing::warn!(volume = name, %error, "leaving out a volume"),
        }
    }
    volumes
}

fn write_volume(directory: &Path, volume: &Volume) -> Result<()> {
    make_directory(directory, 0o701)?;
    crate::driver::make_directory_all(&directory.join("_data"), 0o755)?;
    write_record(directory, volume)
}

/// Writes what a volume is into its directory.
pub(crate) fn write_record(directory: &Path, volume: &Volume) -> Result<()> {
    let path = directory.join("opts.json");
    let bytes = serde_json::to_vec(volume)
        .map_err(|error| Error::Document { what: path.display().to_string(), reason: error.to_string() })?;
    sys::atomic_file::write_atomic(&path, &bytes, 0o600).map_err(|source| Error::io("write", &path, source))
}

/// RFC 3339, in whole seconds.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string()
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.len() == 1 {
        return Err(Error::VolumeNameTooShort(name.to_owned()));
    }
    let mut bytes = name.bytes();
    let valid = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if valid { Ok(()) } else { Err(Error::VolumeName(name.to_owned())) }
}

/// Docker's rules: what belongs together comes together. Gives the bytes that the volume may take; 0 for no limit.
fn check_options(name: &str, options: &BTreeMap<String, String>) -> Result<u64> {
    const NEEDS: [(&str, &str); 4] = [("device", "type"), ("o", "device"), ("o", "type"), ("type", "device")];
    let refused = |reason: String| Err(Error::VolumeOption { name: name.to_owned(), reason });
    if let Some(unknown) = options.keys().find(|key| !matches!(key.as_str(), "type" | "o" | "device" | "size")) {
        return refused(format!("invalid option: {unknown:?}"));
    }
    let missing = NEEDS.iter().find(|(own, other)| options.contains_key(*own) && !options.contains_key(*other));
    if let Some((_, other)) = missing {
        return refused(format!("missing required option: {other:?}"));
    }
    match options.get("size").map(|text| types::parse_size(text, 1024)) {
        None => Ok(0),
        Some(Ok(limit)) => Ok(limit),
        Some(Err(error)) => refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked_as_docker_does() {
        for (given, refusal) in [
            ("", ""),
            ("type=tmpfs device=tmpfs o=ro", ""),
            ("size=0", ""),
            ("size=10m", ""),
            ("size=1.5GiB", ""),
            ("size=ten", "create v: invalid size: 'ten'"),
            ("foo=bar", "create v: invalid option: \"foo\""),
            ("type=tmpfs", "create v: missing required option: \"device\""),
            ("device=x", "create v: missing required option: \"type\""),
            ("o=ro", "create v: missing required option: \"device\""),
        ] {
            let pairs = given.split_whitespace().filter_map(|pair| pair.split_once('='));
            let options = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let result = check_options("v", &options).map_err(|error| error.to_string());
            assert_eq!(result.err().unwrap_or_default(), refusal, "{given}");
        }
    }
}
