//! `docker load`: a docker-archive or OCI layout tar becomes images.
//!
//! The manifest may come last: layers are unpacked while the archive arrives, before it is known what they lie on, and
//! the copy that is made of them becomes the blob by rename. Nothing is visible until all layers of an image are
//! verified.

mod docker_archive;
mod oci_layout;
mod spool;

use std::io::Read;

use types::{Platform, Reference};

use crate::error::ArchiveProblem;
use crate::ingest::Source;
use crate::stream::decompress_any;
use crate::unpack::Whiteouts;
use crate::{Error, Expected, ImageConfig, ImageId, Lease, LoadEvent, Loaded, LooseLayer, Result, Store};
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
        let mut spool = Spool::fill(self, &mut plain)?;
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
            let id = self.load_image(&lease, &mut spool, &candidate, progress)?;
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

    fn load_image(
        &self,
        lease: &Lease,
        spool: &mut Spool,
        candidate: &Candidate,
        progress: &mut dyn FnMut(LoadEvent),
    ) -> Result<ImageId> {
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
                let total = member.as_ref().map_or(0, |member| member.size);
                progress(LoadEvent::Layer { diff: *diff, current: 0, total });
                let expected = Expected { diff: Some(*diff), ..*expected };
                let loose = self.load_layer(lease, spool, member, &expected);
                let placed = loose.and_then(|loose| self.place_layer(lease, parent, loose));
                placed.map_err(|error| at_layer(error, index))?;
                progress(LoadEvent::Layer { diff: *diff, current: total, total });
            }
            parent = Some(chain);
        }
        let known = candidate.parent.filter(|parent| self.image(parent).is_ok());
        self.put_named_image(lease, &candidate.config, known, &candidate.references)
    }

    /// The layer of a member: as it was unpacked in passing, or once more from what is kept of it.
    fn load_layer(
        &self,
        lease: &Lease,
        spool: &mut Spool,
        member: &Result<Member, ArchiveProblem>,
        expected: &Expected,
    ) -> Result<LooseLayer> {
        if let Some(loose) = member.as_ref().ok().and_then(|member| spool.take_layer(member)) {
            return loose.check(expected).map(|()| loose);
        }
        let kept = expected.diff.and_then(|diff| self.kept_blob(lease, &diff));
        let (source, blob) = match (kept, member) {
            // It may be another form of the same content.
            (Some(kept), _) => (Source::Kept(kept.path), None),
            (None, Ok(member)) => (Source::File(member.path.clone()), expected.blob),
            (None, Err(problem)) => return Err(Error::Archive(problem.clone())),
        };
        self.unpack_layer(source, &Expected { blob, ..*expected }, Whiteouts::Overlay)
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
