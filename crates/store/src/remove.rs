//! `docker rmi`: Docker's rules about names, containers and children, and its words.

use std::sync::Arc;

use types::Reference;

use crate::names::Names;
use crate::state::State;
use crate::{ChainId, ContainerUse, Error, Image, ImageId, RemoveImage, Removed, Result, Store};

/// What became of an image that was to be taken away.
pub(crate) enum Taken {
    Gone(Arc<Image>),
    /// Somebody else was faster.
    Missing,
    /// It is not as it was when that was decided.
    Changed,
}

pub(crate) type InUse<'a> = &'a dyn Fn(&ImageId) -> Vec<ContainerUse>;

/// Where images are removed from: the store, or a copy of what it knows. So a rehearsal decides as the real thing does.
pub(crate) trait Shelf {
    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T;

    /// Takes names away as far as they are the image's: others may have moved them meanwhile.
    fn untag(&mut self, id: &ImageId, references: &[Reference], removed: &mut Vec<Removed>) -> Result<()>;

    /// Takes an image away, unless it got a name, a child or a container since that was looked at.
    fn take(&mut self, id: &ImageId, known: &[ContainerUse]) -> Result<Taken>;

    /// Removes a layer and its parents as far as nothing uses them.
    fn collect(&mut self, top: ChainId) -> Vec<ChainId>;
}

/// One removal.
pub(crate) struct Removal<'a, S> {
    pub(crate) shelf: S,
    pub(crate) options: RemoveImage<'a>,
    pub(crate) in_use: InUse<'a>,
}

/// Why an image cannot be deleted.
struct Conflict {
    hard: bool,
    /// A container uses it.
    used: bool,
    reason: String,
}

impl Store {
    /// Removes a name, or the image when it was the last one (`docker rmi`).
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::RemoveConflict`] or the file system's refusal.
    pub fn remove(&self, name: &str, options: RemoveImage<'_>, in_use: InUse<'_>) -> Result<Vec<Removed>> {
        Removal { shelf: self, options, in_use }.run(name)
    }
}

impl Shelf for &Store {
    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.0.state())
    }

    fn untag(&mut self, id: &ImageId, references: &[Reference], removed: &mut Vec<Removed>) -> Result<()> {
        let mut state = self.0.state();
        let mut names = state.names.clone();
        let taken = take_names(&mut names, id, references);
        if taken.is_empty() {
            return Ok(());
        }
        names.write(&self.0.paths.repositories())?;
        state.names = names;
        state.refresh_names(id);
        removed.extend(taken);
        Ok(())
    }

    fn take(&mut self, id: &ImageId, known: &[ContainerUse]) -> Result<Taken> {
        let paths = &self.0.paths;
        let mut state = self.0.state();
        if let Some(taken) = obstacle(&state, id, known) {
            return Ok(taken);
        }
        // Under the lock, so that whoever puts the same image again comes before or after. The record goes first.
        self.0.sweeper.take(&[paths.image_content(id)])?;
        self.0.sweeper.take(&[paths.image_metadata(id)])?;
        Ok(state.images.remove(id).map_or(Taken::Missing, Taken::Gone))
    }

    fn collect(&mut self, top: ChainId) -> Vec<ChainId> {
        Store::collect(self, top)
    }
}

/// Takes names of an image out of the table; those that were its.
pub(crate) fn take_names(names: &mut Names, id: &ImageId, references: &[Reference]) -> Vec<Removed> {
    let mut taken = Vec::new();
    for reference in references {
        if names.image(reference) == Some(*id) {
            names.remove(reference);
            taken.push(Removed::Untagged(reference.familiar()));
        }
    }
    taken
}

/// What keeps an image from being taken away now.
pub(crate) fn obstacle(state: &State, id: &ImageId, known: &[ContainerUse]) -> Option<Taken> {
    if !state.images.contains_key(id) {
        return Some(Taken::Missing);
    }
    let mut made = state.containers.iter().filter(|(_, layer)| layer.image == Some(*id)).map(|(made, _)| made);
    let changed = !state.names.of(id).is_empty()
        || state.images.values().any(|image| image.parent.as_ref() == Some(id))
        || made.any(|made| !known.iter().any(|user| user.id == *made));
    changed.then_some(Taken::Changed)
}

// === impl Removal ===

impl<S: Shelf> Removal<'_, S> {
    pub(crate) fn run(&mut self, name: &str) -> Result<Vec<Removed>> {
        let options = self.options;
        let id = self.shelf.look(|state| state.resolve(name))?;
        let mut removed = Vec::new();
        let (names, leased) = self.shelf.look(|state| (state.names.of(&id), state.leased_images.contains_key(&id)));
        let spared = options.only.is_some_and(|only| !only.contains(&id));
        if spared || options.nameless && (!names.is_empty() || leased) {
            return Ok(removed);
        }
        let by_id = id.hex().starts_with(name) || id.to_string().starts_with(name);
        if by_id {
            if is_single(&names) {
                if let Some(conflict) = self.conflict(&id, &names, !options.force, false, &self.users(&id)) {
                    return Err(conflict.error(&id));
                }
                self.shelf.untag(&id, &names, &mut removed)?;
            }
            self.delete(&id, &mut removed, options.force, false)?;
            return Ok(removed);
        }
        if !options.force
            && is_single(&names)
            && let Some(user) = self.users(&id).first()
        {
            return Err(Error::RemoveConflict {
                verb: "remove repository reference",
                name: format!("{name:?}"),
                remedy: "must force",
                reason: format!("container {} is using its referenced image {}", user.id.short(), id.short()),
            });
        }
        let reference: Reference = name.parse()?;
        let reference = if reference.digest().is_some() { reference } else { reference.with_default_tag() };
        self.shelf.untag(&id, std::slice::from_ref(&reference), &mut removed)?;
        let left = self.names(&id);
        let same = |other: &&Reference| other.name() == reference.name();
        let tagged = left.iter().filter(same).any(|other| other.digest().is_none());
        if reference.digest().is_none() && !tagged {
            // Digests of a repository make no sense without a tag in it.
            let digests: Vec<Reference> = left.iter().filter(same).cloned().collect();
            self.shelf.untag(&id, &digests, &mut removed)?;
        }
        if self.names(&id).is_empty() {
            self.delete(&id, &mut removed, options.force, true)?;
        }
        Ok(removed)
    }

    /// `quiet`: the caller did not name this image, so conflicts only stop the work.
    fn delete(&mut self, id: &ImageId, removed: &mut Vec<Removed>, force: bool, quiet: bool) -> Result<()> {
        let image = loop {
            let names = self.names(id);
            let users = self.users(id);
            if let Some(conflict) = self.conflict(id, &names, !force, true, &users) {
                if quiet && (!names.is_empty() || self.has_children(id) || conflict.used) {
                    return Ok(());
                }
                return Err(conflict.error(id));
            }
            self.shelf.untag(id, &names, removed)?;
            match self.shelf.take(id, &users)? {
                Taken::Gone(image) => break image,
                Taken::Missing => return Ok(()),
                Taken::Changed => {}
            }
        };
        removed.push(Removed::Deleted(id.0));
        if let Some(top) = image.top() {
            removed.extend(self.shelf.collect(top).into_iter().map(|chain| Removed::Deleted(chain.0)));
        }
        let parent = image.parent.filter(|_| self.options.prune_children);
        let parent = parent.filter(|parent| self.options.only.is_none_or(|only| only.contains(parent)));
        match parent.filter(|parent| self.shelf.look(|state| state.images.contains_key(parent))) {
            Some(parent) => self.delete(&parent, removed, false, true),
            None => Ok(()),
        }
    }

    fn names(&self, id: &ImageId) -> Vec<Reference> {
        self.shelf.look(|state| state.names.of(id))
    }

    /// The containers of an image: those that the caller knows, and those that are being made.
    fn users(&self, id: &ImageId) -> Vec<ContainerUse> {
        let mut users = (self.in_use)(id);
        self.shelf.look(|state| {
            for (container, _) in state.containers.iter().filter(|(_, layer)| layer.image == Some(*id)) {
                if !users.iter().any(|user| user.id == *container) {
                    users.push(ContainerUse { id: container.clone(), running: false, image: id.to_string() });
                }
            }
        });
        users
    }

    fn has_children(&self, id: &ImageId) -> bool {
        self.shelf.look(|state| state.images.values().any(|image| image.parent.as_ref() == Some(id)))
    }

    /// Hard conflicts always count, soft ones when `soft`, names only when `references` too.
    fn conflict(
        &self,
        id: &ImageId,
        names: &[Reference],
        soft: bool,
        references: bool,
        users: &[ContainerUse],
    ) -> Option<Conflict> {
        let conflict = |hard, used, reason: String| Some(Conflict { hard, used, reason });
        if self.has_children(id) {
            return conflict(true, false, "image has dependent child images".to_owned());
        }
        if let Some(user) = users.iter().find(|user| user.running) {
            return conflict(true, true, format!("image is being used by running container {}", user.id.short()));
        }
        if soft && references && !names.is_empty() {
            return conflict(false, false, "image is referenced in multiple repositories".to_owned());
        }
        match users.first() {
            Some(user) if soft => {
                conflict(false, true, format!("image is being used by stopped container {}", user.id.short()))
            }
            _ => None,
        }
    }
}

impl Conflict {
    fn error(self, id: &ImageId) -> Error {
        let remedy = if self.hard { "cannot be forced" } else { "must be forced" };
        Error::RemoveConflict { verb: "delete", name: id.short(), remedy, reason: self.reason }
    }
}

/// At most one tag, and all digests in its repository: removing the id then means removing that name.
fn is_single(names: &[Reference]) -> bool {
    let mut tags = names.iter().filter(|name| name.digest().is_none());
    let Some(first) = names.first() else { return true };
    let tag = tags.next();
    if tags.next().is_some() {
        return false;
    }
    let repository = tag.unwrap_or(first).name();
    names.iter().all(|name| name.name() == repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tag_with_its_digests_is_a_single_reference() {
        let digest = format!("a@sha256:{}", "0".repeat(64));
        let names = |texts: &[&str]| -> Vec<Reference> { texts.iter().map(|t| t.parse().expect("name")).collect() };
        assert!(is_single(&names(&[])) && is_single(&names(&["a:1"])) && is_single(&names(&["a:1", &digest])));
        assert!(!is_single(&names(&["a:1", "a:2"])) && !is_single(&names(&["b:1", &digest])));
    }
}
