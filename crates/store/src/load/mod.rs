//! `docker load`: a docker-archive or OCI layout tar becomes images.
//!
//! The archive is spooled first, because its manifest may come last; a spooled layer then becomes the blob by
//! rename. Nothing is visible until all layers of an image are verified.

mod docker_archive;
mod oci_layout;
mod spool;

use std::io::Read;

use types::{Platform, Reference};

use crate::error::ArchiveProblem;
use crate::layers::Source;
use crate::stream::decompress_any;
use crate::unpack::Whiteouts;
use crate::{DiffId, Error, Expected, ImageConfig, ImageId, Lease, LoadEvent, Loaded, Result, Store};
use spool::{Member, Spool};

/// One image of an archive, whatever the form.
struct Candidate {
    /// The configuration document.
    config: Vec<u8>,
    /// Names that it gets.
    references: Vec<Reference>,
    /// Members that hold its layers, bottom first, with what is promised about them. One that is missing matters only
    /// when its layer is not here.
    layers: Vec<(Result<Member, ArchiveProblem>, Expected)>,
    /// The image it was built from, when the archive says so.
    parent: Option<ImageId>,
}

impl Store {
    /// Loads a docker-archive or OCI layout tar, plain or compressed. Of an image for several machines this machine's
    /// is taken, or that of `platform`; with `platform` nothing else is.
    ///
    /// # Errors
    /// [`Error::Archive`], [`Error::LayerVerification`] or the file system's refusal; nothing is left behind then.
    pub fn load(
        &self,
        reader: &mut dyn Read,
        platform: Option<&Platform>,
        progress: &mut dyn FnMut(LoadEvent),
    ) -> Result<Vec<Loaded>> {
        let (_, mut plain) = decompress_any(reader)?;
        let spool = Spool::fill(self.scratch("load")?, &mut plain)?;
        let candidates = if spool.has("manifest.json") {
            docker_archive::candidates(&spool)?
        } else if spool.has("index.json") {
            oci_layout::candidates(&spool, platform.unwrap_or(&Platform::host()))?
        } else {
            return Err(Error::Archive(ArchiveProblem::NoManifest));
        };
        let candidates = of_platform(candidates, platform)?;
        let lease = self.lease();
        let mut loaded = Vec::new();
        for candidate in candidates {
            let named = |name: &Reference| Some((name.clone(), self.named_image(name)?));
            let before: Vec<_> = candidate.references.iter().filter_map(named).collect();
            let id = self.load_image(&lease, &candidate, progress)?;
            for (reference, old) in before.into_iter().filter(|(_, old)| *old != id) {
                progress(LoadEvent::Renamed { reference, old });
            }
            let names: Vec<Option<Reference>> = match candidate.references.is_empty() {
                true => vec![None],
                false => candidate.references.into_iter().map(Some).collect(),
            };
            for reference in names {
                loaded.push(Loaded { id, reference });
                progress(LoadEvent::Loaded(loaded[loaded.len() - 1].clone()));
            }
        }
        Ok(loaded)
    }

    fn load_image(&self, lease: &Lease, candidate: &Candidate, progress: &mut dyn FnMut(LoadEvent)) -> Result<ImageId> {
        let config: ImageConfig = serde_json::from_slice(&candidate.config)
            .map_err(|error| Error::Document { what: "image configuration".to_owned(), reason: error.to_string() })?;
        if !matches!(config.os.as_str(), "" | "linux") {
            return Err(Error::Archive(ArchiveProblem::OperatingSystem(config.os)));
        }
        let diffs = &config.rootfs.diff_ids;
        if diffs.len() != candidate.layers.len() {
            return Err(Error::LayerCount { actual: candidate.layers.len(), expected: diffs.len() });
        }
        let mut parent = None;
        for (index, (diff, (member, expected))) in diffs.iter().zip(&candidate.layers).enumerate() {
            let chain = crate::records::child_chain(parent, *diff);
            if self.layer(lease, &chain).is_none() {
                let member = member.as_ref().map_err(|problem| Error::Archive(problem.clone()))?;
                let loaded = self.load_layer(lease, parent, *diff, member, expected, progress);
                loaded.map_err(|error| at_layer(error, index))?;
            }
            parent = Some(chain);
        }
        let known = candidate.parent.filter(|parent| self.image(parent).is_ok());
        self.put_named_image(lease, &candidate.config, known, &candidate.references)
    }

    fn load_layer(
        &self,
        lease: &Lease,
        parent: Option<crate::ChainId>,
        diff: DiffId,
        member: &Member,
        expected: &Expected,
        progress: &mut dyn FnMut(LoadEvent),
    ) -> Result<()> {
        progress(LoadEvent::Layer { diff, current: 0, total: member.size });
        let expected = Expected { diff: Some(diff), ..*expected };
        // A private link: the same layer may be needed again on another parent.
        let link = member.path.with_extension("layer");
        let _ = std::fs::remove_file(&link);
        std::fs::hard_link(&member.path, &link).map_err(|source| Error::io("link", &link, source))?;
        self.put_layer_from(lease, parent, Source::File(link), &expected, Whiteouts::Overlay)?;
        progress(LoadEvent::Layer { diff, current: member.size, total: member.size });
        Ok(())
    }
}

/// Leaves out the images that are for other machines than the wanted one.
fn of_platform(mut candidates: Vec<Candidate>, wanted: Option<&Platform>) -> Result<Vec<Candidate>> {
    let Some(wanted) = wanted else { return Ok(candidates) };
    candidates.retain(|candidate| {
        let config: Option<ImageConfig> = serde_json::from_slice(&candidate.config).ok();
        config.is_some_and(|config| config.is_for(wanted))
    });
    match candidates.is_empty() {
        true => Err(Error::Archive(ArchiveProblem::NoPlatform(wanted.to_string()))),
        false => Ok(candidates),
    }
}

/// Says which layer a wrong content was found in.
fn at_layer(error: Error, index: usize) -> Error {
    match error {
        Error::DiffId { expected, found, .. } => Error::DiffId { index, expected, found },
        other => other,
    }
}
