//! A volume in the making: filled where every start tidies up, and put in its place by one rename.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::driver::{make_directory, make_directory_all, open_directory};
use crate::error::ArchiveProblem;
use crate::stream::{decompress_any, drain, stream_error};
use crate::unpack::{Target, Whiteouts, unpack};
use crate::volume::{self, now, write_record};
use crate::volume_description::Description;
use crate::{Error, Result, Scratch, Store, Volume};

/// The files of a volume that is not there yet. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct VolumeDraft {
    store: Store,
    scratch: Option<Scratch>,
    /// Its directory, within the scratch one.
    directory: PathBuf,
    /// What the volume gets, unless it is one that exists.
    labels: BTreeMap<String, String>,
    options: BTreeMap<String, String>,
    /// Driver options of the origin that say where its files were, or how many; the new volume's are on our own disk.
    backing: BTreeMap<String, String>,
    /// Of the volume that it is a copy of.
    origin: Option<Description>,
}

impl Store {
    /// Begins a volume.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn draft_volume(&self) -> Result<VolumeDraft> {
        let scratch = self.scratch("volume")?;
        let draft = VolumeDraft {
            store: self.clone(),
            directory: scratch.path().join("volume"),
            scratch: Some(scratch),
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            backing: BTreeMap::new(),
            origin: None,
        };
        make_directory(&draft.directory, 0o701)?;
        make_directory_all(&draft.data(), 0o755)?;
        Ok(draft)
    }

    /// Whether the files of a draft may become those of a volume: of a new one, or of one that is there and has no files
    /// (with `replace` it may have some), and whose files are not on a device that its options name.
    ///
    /// # Errors
    /// [`Error::VolumeName`], [`Error::VolumeNotEmpty`], [`Error::VolumeBacked`].
    pub fn check_fillable(&self, name: &str, replace: bool) -> Result<()> {
        match self.volume(name) {
            Ok(volume) if volume.driver != "local" => Err(self.not_local("restore", name)),
            Ok(volume) if volume.is_mounted() => Err(Error::VolumeBacked(name.to_owned())),
            Ok(volume) if !replace && !is_empty(&volume.mountpoint)? => Err(Error::VolumeNotEmpty(name.to_owned())),
            Ok(_) => Ok(()),
            Err(_) => volume::check_name(name),
        }
    }

    /// Whether a volume can be made under a name.
    ///
    /// # Errors
    /// [`Error::VolumeName`], [`Error::VolumeExists`].
    pub fn check_new_volume(&self, name: &str) -> Result<()> {
        volume::check_name(name)?;
        if self.volume(name).is_ok() { Err(Error::VolumeExists(name.to_owned())) } else { Ok(()) }
    }
}

// === impl VolumeDraft ===

impl VolumeDraft {
    /// Fills it from an archive, plain or compressed, and has the labels and options that the archive tells.
    ///
    /// # Errors
    /// [`Error::Archive`] for a bad archive, also one that is cut off, or the file system's refusal.
    pub fn unpack(&mut self, archive: impl Read) -> Result<()> {
        let (_, plain) = decompress_any(archive)?;
        let (description, mut plain) = Description::read(plain)?;
        let data = self.data();
        let tree = unpack(&mut plain, &Target { directory: &data, whiteouts: Whiteouts::Volume })?;
        // What follows has the checksums.
        drain(&mut plain).map_err(stream_error)?;
        if !tree.ended {
            return Err(Error::Archive(ArchiveProblem::Malformed("unexpected EOF".to_owned())));
        }
        let Description { labels, options, driver, .. } = description.unwrap_or_default();
        self.describe(labels, options, &driver);
        self.sync()
    }

    /// Fills it with what is in a volume, sharing blocks where the file system can, and has its labels.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::VolumeMount`] or the file system's refusal.
    pub fn copy_of(&mut self, name: &str) -> Result<()> {
        let volume = self.store.volume(name)?;
        let held = self.store.use_volume(name)?;
        crate::copy::copy_volume(held.path(), &self.data())?;
        self.origin = Some(Description::of(&volume));
        self.describe(volume.labels, volume.options, &volume.driver);
        Ok(())
    }

    /// Writes a copy as the archive of the volume that it was made of.
    ///
    /// # Errors
    /// As [`Store::backup_volume`].
    pub fn backup(&self, writer: &mut (dyn Write + Send)) -> Result<()> {
        let description = self.origin.clone().unwrap_or_default();
        crate::volume_backup::write_archive(&description, &self.data(), writer)
    }

    /// The labels that a new volume gets.
    pub fn labels(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.labels
    }

    /// Driver options of the origin that a new volume does not have, since they say where the files are.
    #[must_use]
    pub fn left_out(&self) -> &BTreeMap<String, String> {
        &self.backing
    }

    /// Waits until the files are on the disk: what they replace goes right behind.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync(&self) -> Result<()> {
        let data = self.data();
        let directory = open_directory(&data)?;
        rustix::fs::syncfs(&directory).map_err(|source| Error::io("sync", &data, source))
    }

    /// Makes it a volume.
    ///
    /// # Errors
    /// [`Error::VolumeExists`] or the file system's refusal; nothing is left then.
    pub fn become_new(mut self, name: &str) -> Result<Volume> {
        let store = self.store.clone();
        let mut volumes = store.volumes_locked();
        volume::check_name(name)?;
        if volumes.contains_key(name) || store.0.plugin_volumes.known(name).is_some() {
            return Err(Error::VolumeExists(name.to_owned()));
        }
        let directory = store.0.paths.volume(name);
        let volume = Volume {
            name: name.to_owned(),
            driver: "local".to_owned(),
            mountpoint: directory.join("_data"),
            created_at: now(),
            labels: std::mem::take(&mut self.labels),
            options: std::mem::take(&mut self.options),
            anonymous: false,
        };
        let draft = self.write(&volume)?;
        renameat_with(CWD, draft, CWD, &directory, RenameFlags::NOREPLACE)
            .map_err(|source| Error::io("create volume", &directory, source))?;
        volumes.insert(name.to_owned(), volume.clone());
        Ok(volume)
    }

    /// Gives its files to a volume that is there, in one step, and removes what that had. The caller knows that no
    /// container has the old files mounted.
    ///
    /// # Errors
    /// As [`Store::check_fillable`], [`Error::NoSuchVolume`], or the file system's refusal; nothing has changed then.
    pub fn become_content_of(self, name: &str, replace: bool) -> Result<Volume> {
        let store = self.store.clone();
        let volume = store.volume(name)?;
        store.check_fillable(name, replace)?;
        let volumes = store.volumes_locked();
        if volumes.get(name) != Some(&volume) {
            return Err(Error::NoSuchVolume(name.to_owned()));
        }
        let (draft, directory) = (self.write(&volume)?, store.0.paths.volume(name));
        renameat_with(CWD, draft, CWD, &directory, RenameFlags::EXCHANGE)
            .map_err(|source| Error::io("replace the files of volume", &directory, source))?;
        Ok(volume)
    }

    /// Writes the record; gives the directory that is a whole volume then.
    fn write(&self, volume: &Volume) -> Result<&Path> {
        write_record(&self.directory, volume)?;
        Ok(&self.directory)
    }

    fn describe(&mut self, labels: BTreeMap<String, String>, options: BTreeMap<String, String>, driver: &str) {
        self.labels = labels;
        // Now it has a name that somebody gave it.
        self.labels.remove(volume::ANONYMOUS);
        // Those of a plugin mean nothing to the local driver, and a limit comes before the first file.
        let other = !matches!(driver, "" | "local");
        (self.backing, self.options) =
            options.into_iter().partition(|(key, _)| other || matches!(key.as_str(), "type" | "device" | "o" | "size"));
    }

    fn data(&self) -> PathBuf {
        self.directory.join("_data")
    }
}

impl Drop for VolumeDraft {
    fn drop(&mut self) {
        let Some(scratch) = self.scratch.take() else { return };
        if let Err(error) = scratch.discard(&self.store) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a volume that was not made stays until the next start");
        }
    }
}

fn is_empty(path: &Path) -> Result<bool> {
    let mut entries = fs::read_dir(path).map_err(|source| Error::io("readdir", path, source))?;
    Ok(entries.next().is_none())
}
