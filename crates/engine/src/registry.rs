//! All containers, found by name, id or unique prefix. The one owner of container names.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use types::ContainerId;

use crate::container::Container;
use crate::error::Error;

/// The table. Every lock is held for a look-up only.
#[derive(Default)]
pub struct Registry {
    tables: RwLock<Tables>,
}

#[derive(Default)]
struct Tables {
    by_id: BTreeMap<ContainerId, Arc<Container>>,
    /// Holds reserved names too: of containers that are being created.
    by_name: HashMap<String, ContainerId>,
}

// === impl Tables ===

impl Tables {
    /// Whom a link names: `parent/alias`.
    fn linked(&self, name: &str) -> Option<Arc<Container>> {
        let (parent, alias) = name.split_once('/')?;
        let status = self.by_id.get(self.by_name.get(parent)?)?.status();
        let link = status.links.iter().find(|link| link.alias == alias)?;
        self.by_id.get(&link.target).map(Arc::clone)
    }
}

// === impl Registry ===

impl Registry {
    /// Finds a container by full id, name (with or without slash), the name that a link gave it, or unique id prefix, in
    /// that order.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`], [`Error::AmbiguousPrefix`].
    pub fn find(&self, reference: &str) -> Result<Arc<Container>, Error> {
        let tables = self.read();
        if let Some(container) = reference.parse::<ContainerId>().ok().and_then(|id| tables.by_id.get(&id)) {
            return Ok(Arc::clone(container));
        }
        let name = reference.strip_prefix('/').unwrap_or(reference);
        if let Some(container) = tables.by_name.get(name).and_then(|id| tables.by_id.get(id)) {
            return Ok(Arc::clone(container));
        }
        if let Some(container) = tables.linked(name) {
            return Ok(container);
        }
        if reference.is_empty() {
            return Err(Error::NoSuchContainer(reference.to_owned()));
        }
        let mut matching = tables.by_id.iter().filter(|(id, _)| id.as_str().starts_with(reference));
        match (matching.next(), matching.next()) {
            (Some((_, container)), None) => Ok(Arc::clone(container)),
            (None, _) => Err(Error::NoSuchContainer(reference.to_owned())),
            (Some(_), Some(_)) => Err(Error::AmbiguousPrefix(reference.to_owned())),
        }
    }

    /// The container with exactly this id.
    #[must_use]
    pub fn by_id(&self, id: &ContainerId) -> Option<Arc<Container>> {
        self.read().by_id.get(id).map(Arc::clone)
    }

    /// All containers, in no promised order.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Arc<Container>> {
        self.read().by_id.values().map(Arc::clone).collect()
    }

    /// Reserves a name for a container that is about to exist or to be renamed.
    ///
    /// # Errors
    /// [`Error::NameInUse`].
    pub(crate) fn reserve(&self, name: &str, id: &ContainerId) -> Result<(), Error> {
        let mut tables = self.write();
        if let Some(holder) = tables.by_name.get(name) {
            return Err(Error::NameInUse { name: name.to_owned(), holder: holder.to_string() });
        }
        tables.by_name.insert(name.to_owned(), id.clone());
        Ok(())
    }

    /// Whether a container of this id exists or is being created.
    pub(crate) fn is_known(&self, id: &ContainerId) -> bool {
        let tables = self.read();
        tables.by_id.contains_key(id) || tables.by_name.values().any(|holder| holder == id)
    }

    /// Gives a name back, if this container holds it.
    pub(crate) fn release(&self, name: &str, id: &ContainerId) {
        let mut tables = self.write();
        if tables.by_name.get(name) == Some(id) {
            tables.by_name.remove(name);
        }
    }

    /// Makes a container findable. Its name must be reserved.
    pub(crate) fn insert(&self, container: Arc<Container>) {
        self.write().by_id.insert(container.spec.id.clone(), container);
    }

    /// Forgets a container and gives its name back.
    pub(crate) fn remove(&self, container: &Container) {
        let mut tables = self.write();
        tables.by_id.remove(&container.spec.id);
        tables.by_name.retain(|_, id| *id != container.spec.id);
    }

    // A poisoned lock means that another thread panicked between two table operations; each of them leaves
    // the tables whole.
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}
