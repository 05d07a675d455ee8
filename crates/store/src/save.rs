//! `docker save`: one tar that is a docker-archive and an OCI layout, blobs as stored.
//!
//! ```text
//! blobs/sha256/<digest>   configurations, manifests, layers
//! index.json              OCI: one descriptor a name
//! manifest.json           Docker: one item an image
//! oci-layout
//! repositories            Docker, before 1.10: name → tag → top layer
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

use serde_json::{Value, json};
use types::{Digest, Reference};

use crate::{BlobInfo, ChainId, Error, Image, ImageId, ImageManifest, Result, Store};

/// What an archive leaves out.
#[derive(Clone, Debug, Default)]
pub struct SaveOptions {
    /// Layers that whoever loads the archive has: they, and what is below them, are left out.
    pub without: BTreeSet<ChainId>,
    /// The images that these layers are of, as a user named them: a load that misses one tells them.
    pub since: Vec<String>,
}

/// What an archive collects while images are added to it.
#[derive(Default)]
struct Collected {
    documents: BTreeMap<Digest, Vec<u8>>,
    layers: BTreeMap<Digest, BlobInfo>,
    index: Vec<Value>,
    manifest: Vec<Value>,
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

impl Store {
    /// Writes images as one tar that is a docker-archive and an OCI layout, blobs as stored. A name without a
    /// tag means all tags of its repository.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] or a failure to write.
    pub fn save(&self, names: &[String], options: &SaveOptions, writer: &mut dyn Write) -> Result<()> {
        let mut wanted: Vec<(ImageId, Vec<Reference>)> = Vec::new();
        for name in names {
            for (id, reference) in self.named(name)? {
                match wanted.iter_mut().find(|(known, _)| *known == id) {
                    Some((_, references)) => {
                        references.extend(reference);
                        references.dedup();
                    }
                    None => wanted.push((id, reference.into_iter().collect())),
                }
            }
        }
        // Keeps the layers while they are written.
        let lease = self.lease();
        let mut collected = Collected::default();
        for (id, references) in &wanted {
            let image = self.leased_image(&lease, id)?;
            self.collect_image(&image, references, options, &mut collected)?;
        }
        collected.write(writer)
    }

    /// The images that an argument of `save` means, each with the name it is saved under. A name without a tag means
    /// all tags of its repository.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn named(&self, name: &str) -> Result<Vec<(ImageId, Option<Reference>)>> {
        let reference = name.parse::<Reference>().ok();
        if let Some(reference) = reference.as_ref().filter(|name| name.tag().is_none() && name.digest().is_none()) {
            let all = self.repository(reference).into_iter().filter(|(name, _)| name.digest().is_none());
            let all: Vec<_> = all.map(|(name, id)| (id, Some(name))).collect();
            if !all.is_empty() {
                return Ok(all);
            }
        }
        // An id reads as a repository too.
        let id = self.resolve(name)?;
        let named = |reference: &Reference| reference.tag().is_some() && self.named_image(reference) == Some(id);
        Ok(vec![(id, reference.filter(named))])
    }

    fn collect_image(
        &self,
        image: &Arc<Image>,
        references: &[Reference],
        options: &SaveOptions,
        collected: &mut Collected,
    ) -> Result<()> {
        let ImageManifest { digest, bytes: manifest, layers } = self.manifest(image)?;
        let descriptor = |name: Option<&Reference>| {
            let annotations = name.map(|name| {
                let tag = name.tag().unwrap_or_default();
                json!({"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag})
            });
            let mut value = json!({"mediaType": ImageManifest::MEDIA_TYPE, "digest": digest, "size": manifest.len()});
            annotations.into_iter().for_each(|annotations| value["annotations"] = annotations);
            value
        };
        match references {
            [] => collected.index.push(descriptor(None)),
            names => collected.index.extend(names.iter().map(|name| descriptor(Some(name)))),
        }
        let path = |digest: &str| format!("blobs/sha256/{digest}");
        let layer_paths: Vec<String> = layers.iter().map(|layer| path(&layer.digest.hex())).collect();
        let names: Option<Vec<String>> =
            (!references.is_empty()).then(|| references.iter().map(Reference::familiar).collect());
        let mut item = json!({"Config": path(&image.id.hex()), "RepoTags": names, "Layers": layer_paths});
        // A member of our own, which others pass over.
        if !options.since.is_empty() {
            item["Since"] = json!(options.since);
        }
        collected.manifest.push(item);
        for name in references {
            let top = layer_paths.last().map(|path| path.trim_start_matches("blobs/sha256/").to_owned());
            let tags = collected.repositories.entry(name.familiar_name()).or_default();
            tags.insert(name.tag().unwrap_or_default().to_owned(), top.unwrap_or_default());
        }
        let known = image.chain.iter().rposition(|chain| options.without.contains(chain)).map_or(0, |top| top + 1);
        collected.layers.extend(layers.into_iter().skip(known).map(|blob| (blob.digest, blob)));
        collected.documents.insert(digest, manifest);
        collected.documents.insert(image.id.0, image.raw.to_vec());
        Ok(())
    }
}

impl Collected {
    fn write(self, writer: &mut dyn Write) -> Result<()> {
        let mut tar = tar::Builder::new(writer);
        for directory in ["blobs/", "blobs/sha256/"] {
            tar.append_data(&mut header(tar::EntryType::Directory, 0, 0o755), directory, std::io::empty())
                .map_err(Error::Stream)?;
        }
        let digests: BTreeSet<Digest> = self.documents.keys().chain(self.layers.keys()).copied().collect();
        for digest in digests {
            let name = format!("blobs/sha256/{}", digest.hex());
            match (self.documents.get(&digest), self.layers.get(&digest)) {
                (Some(bytes), _) => append(&mut tar, &name, bytes.len() as u64, &bytes[..])?,
                (None, Some(blob)) => {
                    let file = File::open(&blob.path).map_err(|source| Error::io("open", &blob.path, source))?;
                    append(&mut tar, &name, blob.size, file)?;
                }
                (None, None) => {}
            }
        }
        let index_type = "application/vnd.oci.image.index.v1+json";
        for (name, document) in [
            ("index.json", json!({"schemaVersion": 2, "mediaType": index_type, "manifests": self.index})),
            ("manifest.json", Value::Array(self.manifest)),
            ("oci-layout", json!({"imageLayoutVersion": "1.0.0"})),
            ("repositories", json!(self.repositories)),
        ] {
            let text = document.to_string();
            append(&mut tar, name, text.len() as u64, text.as_bytes())?;
        }
        tar.finish().map_err(Error::Stream)
    }
}

fn append(tar: &mut tar::Builder<&mut dyn Write>, name: &str, size: u64, content: impl Read) -> Result<()> {
    tar.append_data(&mut header(tar::EntryType::Regular, size, 0o644), name, content).map_err(Error::Stream)
}

/// Times are the epoch, so that the same images make the same bytes.
fn header(kind: tar::EntryType, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
