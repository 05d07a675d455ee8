//! `gantry volume rename`: the rename of the directory is what counts, the record in it follows.

use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::volume::{ANONYMOUS, check_name, write_record};
use crate::{Error, Result, Store, Volume};

impl Store {
    /// Gives a volume another name; the caller knows that no container refers to it. One that had no name of its own
    /// becomes an ordinary volume.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::VolumeName`], [`Error::VolumeExists`], [`Error::VolumeInUse`] while what backs
    /// it is mounted, or the file system's refusal; it has its old name then.
    pub fn rename_volume(&self, old: &str, new: &str) -> Result<Volume> {
        let mut volumes = self.volumes_locked();
        let volume = volumes.get(old).cloned().ok_or_else(|| self.not_local("rename", old))?;
        check_name(new)?;
        if volumes.contains_key(new) || self.0.plugin_volumes.known(new).is_some() {
            return Err(Error::VolumeExists(new.to_owned()));
        }
        self.detach_volume(&volume)?;
        let (from, to) = (self.0.paths.volume(old), self.0.paths.volume(new));
        let renamed = renamed(Volume { mountpoint: to.join("_data"), ..volume }, new);
        let rename = |from: &Path, to: &Path| {
            renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
                .map_err(|source| Error::io("rename volume", from, source))
        };
        rename(&from, &to)?;
        if let Err(error) = write_record(&to, &renamed) {
            rename(&to, &from)?;
            return Err(error);
        }
        volumes.remove(old);
        volumes.insert(new.to_owned(), renamed.clone());
        Ok(renamed)
    }
}

fn renamed(mut volume: Volume, name: &str) -> Volume {
    volume.labels.remove(ANONYMOUS);
    volume.anonymous = false;
    volume.name = name.to_owned();
    volume
}

/// What a volume is whose record was read. A record with another name was left by a daemon that was killed between the
/// two steps of a rename.
pub(crate) fn completed(directory: &Path, name: &str, volume: Volume) -> Volume {
    if volume.name == name {
        return volume;
    }
    tracing::info!(volume = name, old = volume.name, "completing a rename");
    let volume = renamed(volume, name);
    if let Err(error) = write_record(directory, &volume) {
        // The name is that of the directory in any case.
        tracing::warn!(
            volume = name,
            error = &error as &dyn std::error::Error,
            "the record of a volume stays as it is"
        );
    }
    volume
}
