//! A volume as an archive: a tar, compressed with zstd, that plain `tar` unpacks too.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;

use codec::ZstdWriter;

use crate::driver::open_directory;
use crate::pack::{Content, Packer};
use crate::volume_description::Description;
use crate::{Error, Result, Store, Usage};

impl Store {
    /// Writes everything in a volume, and what the volume is, as an archive. What backs it is mounted meanwhile. Files
    /// that change while they are read are as they are found.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::VolumeMount`], the file system's refusal, or [`Error::Stream`] when `writer`
    /// fails.
    pub fn backup_volume(&self, name: &str, writer: &mut (dyn Write + Send)) -> Result<()> {
        let volume = self.volume(name)?;
        let held = self.use_volume(name)?;
        write_archive(&Description::of(&volume), held.path(), writer)
    }

    /// What the files of a volume take. What backs it is mounted meanwhile.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::VolumeMount`].
    pub fn volume_usage(&self, name: &str) -> Result<Usage> {
        let held = self.use_volume(name)?;
        Ok(crate::usage::of(held.path()))
    }
}

/// Writes the files in a directory as the archive of a volume.
pub(crate) fn write_archive(description: &Description, files: &Path, writer: &mut (dyn Write + Send)) -> Result<()> {
    let directory = open_directory(files)?;
    let stat = rustix::fs::fstat(&directory).map_err(|source| Error::io("stat", files, source))?;
    let mut compressed = ZstdWriter::new(writer);
    description.write(&mut compressed)?;
    let mut packer = Packer::new(&mut compressed, Content::Volume, None);
    packer.directory(directory.as_fd(), &stat, b".", true)?;
    packer.finish()?;
    compressed.finish().and_then(Write::flush).map_err(Error::Stream)
}
