//! The names of images, and `repositories.json`, whose rename is the tag transaction.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use types::Reference;

use crate::{Error, ImageId, Result};

/// All names. The file has Docker's form: familiar repository name → familiar reference → image id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Names {
    #[serde(rename = "Repositories", default)]
    repositories: BTreeMap<String, BTreeMap<String, ImageId>>,
}

impl Names {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Error::Document { what: path.display().to_string(), reason: error.to_string() }),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Error::io("read", path, source)),
        }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let bytes = serde_json::to_vec(self)
            .map_err(|error| Error::Document { what: path.display().to_string(), reason: error.to_string() })?;
        sys::atomic_file::write_durable(path, &bytes, 0o600).map_err(|source| Error::io("write", path, source))
    }

    /// The image of a name. A digest decides over a tag.
    pub(crate) fn image(&self, reference: &Reference) -> Option<ImageId> {
        let key = key(reference);
        self.repositories.get(&key.familiar_name())?.get(&key.familiar()).copied()
    }

    /// Points a name at an image; returns the image it pointed at.
    pub(crate) fn set(&mut self, reference: &Reference, id: ImageId) -> Option<ImageId> {
        let key = key(reference);
        self.repositories.entry(key.familiar_name()).or_default().insert(key.familiar(), id)
    }

    pub(crate) fn remove(&mut self, reference: &Reference) -> Option<ImageId> {
        let key = key(reference);
        let names = self.repositories.get_mut(&key.familiar_name())?;
        let removed = names.remove(&key.familiar());
        if names.is_empty() {
            self.repositories.remove(&key.familiar_name());
        }
        removed
    }

    /// The names of an image: those with a tag, then those with a digest, each sorted.
    pub(crate) fn of(&self, id: &ImageId) -> Vec<Reference> {
        let mut names: Vec<Reference> = self.all().filter(|(_, owner)| owner == id).map(|(name, _)| name).collect();
        names.sort_by_key(|name| (name.digest().is_some(), name.familiar()));
        names
    }

    /// Names that are none.
    pub(crate) fn unreadable(&self) -> Vec<String> {
        let all = self.repositories.values().flat_map(BTreeMap::keys);
        all.filter(|name| name.parse::<Reference>().is_err()).cloned().collect()
    }

    /// Every name with its image.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Reference, ImageId)> + '_ {
        self.repositories.values().flatten().filter_map(|(name, id)| Some((name.parse().ok()?, *id)))
    }
}

fn key(reference: &Reference) -> Reference {
    match reference.digest() {
        Some(digest) => reference.with_digest(digest),
        None => reference.clone().with_default_tag(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::sha256;

    #[test]
    fn a_name_moves_from_image_to_image() {
        let (one, two) = (ImageId(sha256(b"1")), ImageId(sha256(b"2")));
        let name: Reference = "busybox".parse().expect("reference");
        let full: Reference = "docker.io/library/busybox:latest".parse().expect("reference");
        let digest = name.with_digest(sha256(b"m"));
        let mut names = Names::default();
        assert_eq!(names.set(&name, one), None);
        assert_eq!(names.set(&full, two), Some(one));
        assert_eq!(names.set(&digest, two), None);
        assert_eq!(names.image(&full), Some(two));
        assert_eq!(names.of(&two), vec![full.clone(), digest.clone()]);
        let text = serde_json::to_string(&names).expect("encode");
        assert!(text.starts_with(r#"{"Repositories":{"busybox":{"busybox:latest":"sha256:"#), "{text}");
        assert_eq!((names.remove(&full), names.remove(&digest), names.remove(&name)), (Some(two), Some(two), None));
        assert_eq!(serde_json::to_string(&names).expect("encode"), r#"{"Repositories":{}}"#);
    }
}
