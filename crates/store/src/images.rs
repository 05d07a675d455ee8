//! Images and their names.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use types::{Digest, InvalidReference, Reference};

use crate::records::image_from;
use crate::state::State;
use crate::stream::sha256;
use crate::{Error, Image, ImageId, ImageSummary, Lease, Result, Store, driver};

impl Store {
    /// All images, newest first.
    #[must_use]
    pub fn images(&self) -> Vec<ImageSummary> {
        let mut images: Vec<ImageSummary> = self.0.state().images.values().cloned().collect();
        images.sort_by_key(|image| (std::cmp::Reverse(image.created()), image.id));
        images
    }

    /// Finds an image as Docker does: `name[:tag]`, `name@digest`, a full id, or a unique beginning of one.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], also for a beginning that several ids share, as with Docker;
    /// [`Error::Reference`] for a malformed name.
    pub fn resolve(&self, name: &str) -> Result<ImageId> {
        self.0.state().resolve(name)
    }

    /// The image that has this very name, which has a tag or a digest.
    #[must_use]
    pub fn named_image(&self, reference: &Reference) -> Option<ImageId> {
        self.0.state().names.image(reference)
    }

    /// The names of a repository, each with its image: those with a tag, then those with a digest.
    #[must_use]
    pub fn repository(&self, repository: &Reference) -> Vec<(Reference, ImageId)> {
        let name = repository.name();
        let mut names: Vec<_> = self.0.state().names.all().filter(|(other, _)| other.name() == name).collect();
        names.sort_by_key(|(name, _)| (name.digest().is_some(), name.familiar()));
        names
    }

    /// One image.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn image(&self, id: &ImageId) -> Result<Arc<Image>> {
        self.0.state().images.get(id).cloned().ok_or_else(|| Error::NoSuchImage(id.to_string()))
    }

    /// Remembers that somebody uses an image at this moment; the file of its configuration says so by its time.
    pub fn use_image(&self, id: &ImageId) {
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let same = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        let times = rustix::fs::Timestamps { last_access: same, last_modification: now };
        // An image that just went is used no more.
        let _ = rustix::fs::utimensat(
            rustix::fs::CWD,
            self.0.paths.image_content(id),
            &times,
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        );
    }

    /// When an image was made, or used last: a container or a step of a build was made from it.
    #[must_use]
    pub fn last_used(&self, id: &ImageId) -> SystemTime {
        let metadata = std::fs::metadata(self.0.paths.image_content(id));
        metadata.and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Gives an image a name, taking it from the image that had it. Durable when it returns.
    /// A reference with a digest records a repository digest.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] or the file system's refusal.
    pub fn tag(&self, id: &ImageId, reference: &Reference) -> Result<()> {
        self.tag_all(id, std::slice::from_ref(reference))
    }

    /// Gives an image several names in one transaction.
    ///
    /// # Errors
    /// As [`Store::tag`].
    pub fn tag_all(&self, id: &ImageId, references: &[Reference]) -> Result<()> {
        let paths = &self.0.paths;
        let mut state = self.0.state();
        if !state.images.contains_key(id) {
            return Err(Error::NoSuchImage(id.to_string()));
        }
        let mut names = state.names.clone();
        let mut changed = false;
        let mut losers = Vec::new();
        for reference in references {
            let before = names.set(reference, *id);
            changed |= before != Some(*id);
            losers.extend(before);
        }
        let now = Timestamp::now().to_string();
        let metadata = paths.image_metadata(id);
        std::fs::create_dir_all(&metadata).map_err(|source| Error::io("mkdir", &metadata, source))?;
        driver::write(&metadata.join("lastUpdated"), now.as_bytes())?;
        if changed {
            names.write(&paths.repositories())?;
            state.names = names;
        }
        losers.iter().for_each(|loser| state.refresh_names(loser));
        state.refresh_names(id);
        if let Some(image) = state.images.get_mut(id) {
            Arc::make_mut(image).last_tag_time = Some(now);
        }
        Ok(())
    }

    /// Registers a configuration document whose layers are all here, and puts the image under the lease. Not visible by
    /// name until [`Store::tag`]; on the disk a moment later, see `durable.rs`.
    ///
    /// # Errors
    /// [`Error::Document`], [`Error::NoSuchLayer`] or the file system's refusal.
    pub fn put_image(&self, lease: &Lease, config: &[u8], parent: Option<ImageId>) -> Result<ImageId> {
        let id = ImageId(sha256(config));
        let image = image_from(&self.0.state(), id, config.to_vec())?;
        for chain in &image.chain {
            self.layer(lease, chain).ok_or_else(|| Error::NoSuchLayer(chain.to_string()))?;
        }
        if self.leased_image(lease, &id).is_ok() {
            return Ok(id);
        }
        let paths = &self.0.paths;
        let draft = paths.tmp().join(format!("image-{}", &driver::random_id()[..16]));
        let _mark = self.0.unfinished.mark(&draft);
        sys::atomic_file::write_durable(&draft, config, 0o600).map_err(|source| Error::io("write", &draft, source))?;
        self.publish_image(lease, Image { parent, ..image }, &draft).inspect_err(|_| {
            // The first error is the one to report.
            let _ = std::fs::remove_file(&draft);
        })?;
        self.0.flusher.flush_later();
        Ok(id)
    }

    /// As [`Store::put_image`], with names. Whoever removes the same image meanwhile removes it before or after this.
    ///
    /// # Errors
    /// As [`Store::put_image`].
    pub fn put_named_image(
        &self,
        lease: &Lease,
        config: &[u8],
        parent: Option<ImageId>,
        references: &[Reference],
    ) -> Result<ImageId> {
        loop {
            let id = self.put_image(lease, config, parent)?;
            match self.tag_all(&id, references) {
                // Removed between the two. Its layers are still here, under the lease.
                Err(Error::NoSuchImage(_)) => {}
                tagged => return tagged.map(|()| id),
            }
        }
    }

    /// Lets an image appear, its record and what we know of it at once: a removal of the same image comes before or
    /// after.
    fn publish_image(&self, lease: &Lease, mut image: Image, draft: &std::path::Path) -> Result<()> {
        let paths = &self.0.paths;
        let mut state = self.0.state();
        lease.hold_image(&mut state, image.id);
        if state.images.contains_key(&image.id) {
            // Somebody else was faster.
            return std::fs::remove_file(draft).map_err(|source| Error::io("remove", draft, source));
        }
        // The one it was made from may be gone by now; its layers are ours too.
        image.parent = image.parent.filter(|parent| state.images.contains_key(parent));
        if let Some(parent) = image.parent {
            let metadata = paths.image_metadata(&image.id);
            std::fs::create_dir_all(&metadata).map_err(|source| Error::io("mkdir", &metadata, source))?;
            driver::write(&metadata.join("parent"), parent.to_string().as_bytes())?;
        }
        let path = paths.image_content(&image.id);
        std::fs::rename(draft, &path).map_err(|source| Error::io("rename", &path, source))?;
        state.images.insert(image.id, Arc::new(image));
        Ok(())
    }
}

impl State {
    /// As [`Store::resolve`].
    pub(crate) fn resolve(&self, name: &str) -> Result<ImageId> {
        let missing = |name: &str| Error::NoSuchImage(name.to_owned());
        let full = name.parse::<Digest>().or_else(|_| Digest::from_hex(name));
        if let Ok(id) = full.map(ImageId) {
            return self.images.contains_key(&id).then_some(id).ok_or_else(|| missing(&id.to_string()));
        }
        let shown = match name.parse::<Reference>() {
            Ok(reference) => {
                if let Some(id) = self.names.image(&reference) {
                    return Ok(id);
                }
                reference.with_default_tag().familiar()
            }
            // `sha256:` and the beginning of an id is not a reference, but an id to Docker.
            Err(InvalidReference::Id(_)) => name.to_owned(),
            Err(error) => {
                if !name.starts_with("sha256:") {
                    return Err(Error::Reference(error));
                }
                name.to_owned()
            }
        };
        let prefix = name.strip_prefix("sha256:").unwrap_or(name);
        if prefix.is_empty() || !prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(missing(&shown));
        }
        let mut found = self.images.keys().filter(|id| id.hex().starts_with(prefix));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(*id),
            _ => Err(missing(&shown)),
        }
    }
}
