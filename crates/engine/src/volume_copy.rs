//! `gantry volume clone`, `snapshot`, and `restore --from`: volumes made of volumes.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use store::{Volume, VolumeDraft};

use crate::engine::Engine;
use crate::error::Error;
use crate::volume_archive::RestoredVolume;

/// Label of a snapshot: of which volume.
const SNAPSHOT_OF: &str = "gantry.snapshot.of";
/// Label of a snapshot: when, RFC 3339.
const SNAPSHOT_AT: &str = "gantry.snapshot.at";

impl Engine {
    /// Makes a volume with the files and labels of another one. Containers that use that one go on.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` when the new one exists, `InvalidParameter` for a bad name, or the file system's refusal.
    pub async fn volume_clone(self: &Arc<Self>, from: &str, to: &str) -> Result<RestoredVolume, Error> {
        let (engine, from, to) = (Arc::clone(self), from.to_owned(), to.to_owned());
        self.blocking(move || {
            engine.store.volume(&from)?;
            engine.store.check_new_volume(&to)?;
            let draft = engine.copy_draft(&from)?;
            draft.sync()?;
            engine.put_new(draft, &to)
        })
        .await
    }

    /// Makes a volume with the files of another one as they are at this moment, while the containers that use that one are
    /// frozen. An empty name stands for that volume's with the time behind it.
    ///
    /// # Errors
    /// As [`Self::volume_clone`], or that a container could not be frozen.
    pub async fn volume_snapshot(self: &Arc<Self>, name: &str, snapshot: &str) -> Result<RestoredVolume, Error> {
        self.store.volume(name)?;
        let now = Timestamp::now();
        let snapshot = match snapshot {
            "" => format!("{name}-{}", now.to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M%S")),
            given => given.to_owned(),
        };
        self.store.check_new_volume(&snapshot)?;
        let (engine, name) = (Arc::clone(self), name.to_owned());
        let mut draft = self.copy_still(&name).await?;
        let labels = draft.labels();
        labels.insert(SNAPSHOT_OF.to_owned(), name);
        labels.insert(SNAPSHOT_AT.to_owned(), now.round(jiff::Unit::Second).unwrap_or(now).to_string());
        self.blocking(move || {
            draft.sync()?;
            engine.put_new(draft, &snapshot)
        })
        .await
    }

    /// Fills a volume with the files of another one, as [`Self::volume_restore`] does from an archive.
    ///
    /// # Errors
    /// As there.
    pub async fn volume_restore_from(
        self: &Arc<Self>,
        name: &str,
        replace: bool,
        from: &str,
    ) -> Result<RestoredVolume, Error> {
        let (engine, name, from) = (Arc::clone(self), name.to_owned(), from.to_owned());
        self.blocking(move || {
            engine.store.volume(&from)?;
            if name == from {
                engine.refuse_users("restore", &name, vec!["it would be replaced by itself".to_owned()])?;
            }
            engine.check_restorable(&name, replace)?;
            let mut draft = engine.copy_draft(&from)?;
            draft.sync()?;
            let labels = draft.labels();
            [SNAPSHOT_OF, SNAPSHOT_AT].iter().for_each(|label| drop(labels.remove(*label)));
            engine.put_draft(draft, &name, replace)
        })
        .await
    }

    /// A copy of a volume's files that are all of one moment.
    pub(crate) async fn copy_still(self: &Arc<Self>, name: &str) -> Result<VolumeDraft, Error> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        // A client that leaves must not leave containers frozen: the work goes on without it.
        let work = tokio::spawn(async move {
            let (copier, from) = (Arc::clone(&engine), name.clone());
            engine.while_still(&name, engine.blocking(move || copier.copy_draft(&from))).await
        });
        work.await.map_err(|_| Error::ShuttingDown)?
    }

    fn copy_draft(&self, from: &str) -> Result<VolumeDraft, Error> {
        let _copying = self.volume_references.copy(from);
        let mut draft = self.store.draft_volume()?;
        draft.copy_of(from)?;
        Ok(draft)
    }

    fn put_new(&self, draft: VolumeDraft, name: &str) -> Result<RestoredVolume, Error> {
        let left_out = draft.left_out().clone();
        let volume: Volume = draft.become_new(name)?;
        self.volume_event(name, "local", "create");
        Ok(RestoredVolume { volume, left_out })
    }
}
