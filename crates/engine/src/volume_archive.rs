//! `gantry volume backup` and `restore`: volumes as archives, out and in.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use store::{Volume, VolumeDraft};
use sys::allocator::TrimBehind;
use tokio::sync::mpsc;

use crate::engine::Engine;
use crate::error::Error;
use crate::images::ChannelWriter;

/// A volume that was filled.
#[derive(Clone, Debug)]
pub struct RestoredVolume {
    /// What it is now.
    pub volume: Volume,
    /// Driver options of the origin that it does not have: its files are on our own disk.
    pub left_out: BTreeMap<String, String>,
}

/// The unread rest of a refused upload that is read all the same, so that the client comes to read the refusal.
const REST: u64 = 256 * 1024;

impl Engine {
    /// Writes a volume into an archive (tar, zstd). With `still`, its files are of one moment: they are copied while the
    /// containers that have the volume are frozen, and the copy is what is written, at the client's pace.
    ///
    /// # Errors
    /// `NotFound`, or what the copy fails with; a failure later ends the stream with an error, and is logged.
    pub async fn volume_backup(
        self: &Arc<Self>,
        name: &str,
        still: bool,
    ) -> Result<mpsc::Receiver<io::Result<Bytes>>, Error> {
        let (engine, wanted) = (Arc::clone(self), name.to_owned());
        let copying = self.blocking(move || {
            let volume = engine.store.volume(&wanted)?;
            Ok((volume.driver, engine.volume_references.copy(&wanted)))
        });
        let (driver, copying) = copying.await?;
        let draft = if still { Some(self.copy_still(name).await?) } else { None };
        let (engine, name) = (Arc::clone(self), name.to_owned());
        let (mut writer, content) = ChannelWriter::checked();
        tokio::task::spawn_blocking(move || {
            let _trim = TrimBehind::default();
            let result = match &draft {
                Some(draft) => draft.backup(&mut writer),
                None => engine.store.backup_volume(&name, &mut writer),
            };
            drop(copying);
            match result {
                Ok(()) => engine.volume_event(&name, &driver, "backup"),
                Err(error) => {
                    tracing::warn!(volume = name, error = &error as &dyn std::error::Error, "a backup ended early");
                    writer.fail(io::Error::other(error));
                }
            }
        });
        Ok(content)
    }

    /// Fills a volume from an archive, plain or compressed: a new one with the archive's labels, or one that is there and
    /// empty; with `replace` it may have files, which go. Nothing of a bad archive stays.
    ///
    /// # Errors
    /// `Conflict` for a volume that may not be filled or that a running container has, what is wrong with the archive,
    /// or the file system's refusal.
    pub async fn volume_restore(
        self: &Arc<Self>,
        name: &str,
        replace: bool,
        mut archive: impl Read + Send + 'static,
    ) -> Result<RestoredVolume, Error> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        self.blocking(move || {
            let _trim = TrimBehind::default();
            let result = engine.restore_archive(&name, replace, &mut archive);
            if result.is_err() {
                drop(io::copy(&mut archive.take(REST), &mut io::sink()));
            }
            result
        })
        .await
    }

    fn restore_archive(&self, name: &str, replace: bool, archive: &mut dyn Read) -> Result<RestoredVolume, Error> {
        self.check_restorable(name, replace)?;
        let mut draft = self.store.draft_volume()?;
        draft.unpack(archive)?;
        self.put_draft(draft, name, replace)
    }

    /// Whether a volume may get other files, as far as can be told before there are any.
    pub(crate) fn check_restorable(&self, name: &str, replace: bool) -> Result<(), Error> {
        self.store.check_fillable(name, replace)?;
        let users = self.volume_references.containers_of(name);
        let running = users.iter().filter_map(|id| self.containers.by_id(id)).filter(|c| c.status().state.is_running());
        self.refuse_users("restore", name, running.map(|container| container.name()).collect())
    }

    /// Makes a draft a volume, or the content of one that no container is using now.
    pub(crate) fn put_draft(&self, draft: VolumeDraft, name: &str, replace: bool) -> Result<RestoredVolume, Error> {
        let closed = self.volume_references.close_to_others(name, "restore")?;
        // Those that refer to it can go on to refer to it, but not start.
        let users: Vec<_> = closed.containers.iter().filter_map(|id| self.containers.by_id(id)).collect();
        let _kept: Vec<_> = users.iter().map(|container| container.hold_files_blocking()).collect();
        let running = users.iter().filter(|container| container.status().state.is_running());
        self.refuse_users("restore", name, running.map(|container| container.name()).collect())?;
        let existed = self.store.volume(name).is_ok();
        let left_out = draft.left_out().clone();
        let volume = if existed { draft.become_content_of(name, replace)? } else { draft.become_new(name)? };
        self.volume_event(name, "local", if existed { "restore" } else { "create" });
        Ok(RestoredVolume { volume, left_out })
    }

    /// # Errors
    /// [`store::Error::VolumeBusy`] when there are users.
    pub(crate) fn refuse_users(&self, action: &'static str, name: &str, users: Vec<String>) -> Result<(), Error> {
        if users.is_empty() {
            return Ok(());
        }
        Err(store::Error::VolumeBusy { action, name: name.to_owned(), users }.into())
    }
}
