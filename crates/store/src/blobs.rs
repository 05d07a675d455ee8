//! What is known about the blobs of a layer's content, here and on registries.

use types::Digest;

use crate::layers::write_blob_records;
use crate::state::BlobRecord;
use crate::{DiffId, Result, Store};

/// As many places of one content as are kept (Docker's limit).
const MOST: usize = 50;

/// A blob with the content of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBlob {
    /// Digest of its bytes.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// OCI media type of the layer.
    pub media_type: String,
    /// The repository that has it, for example `docker.io/library/busybox`; empty when only this store does.
    pub repository: String,
}

impl Store {
    /// Every blob that is known to have this content, the one kept here first and then the latest.
    #[must_use]
    pub fn known_blobs(&self, diff: &DiffId) -> Vec<KnownBlob> {
        let state = self.0.state();
        let Some([kept, others @ ..]) = state.blobs.get(diff).map(Vec::as_slice) else { return Vec::new() };
        let known = |record: &BlobRecord| KnownBlob {
            digest: record.digest,
            size: record.size,
            media_type: record.media_type.clone(),
            repository: record.source_repository.clone(),
        };
        std::iter::once(kept).chain(others.iter().rev()).map(known).collect()
    }

    /// Notes that a repository has a blob with this content, so that a push need not send it again.
    ///
    /// # Errors
    /// The file system's refusal.
    pub fn remember_blob(&self, diff: &DiffId, blob: &KnownBlob) -> Result<()> {
        let mut state = self.0.state();
        let Some(mut records) = state.blobs.get(diff).cloned() else { return Ok(()) };
        if !note(&mut records, blob) {
            return Ok(());
        }
        write_blob_records(self, *diff, &records)?;
        state.diff_of_blob.insert(blob.digest, *diff);
        state.blobs.insert(*diff, records);
        Ok(())
    }
}

/// The first record is that of the blob kept here and stays the first. Says whether anything is new.
fn note(records: &mut Vec<BlobRecord>, blob: &KnownBlob) -> bool {
    let same = |record: &BlobRecord| record.digest == blob.digest && record.source_repository == blob.repository;
    if records.iter().any(same) {
        return false;
    }
    if let Some(kept) = records.first_mut()
        && kept.digest == blob.digest
        && kept.source_repository.is_empty()
    {
        kept.source_repository.clone_from(&blob.repository);
        return true;
    }
    if records.len() >= MOST {
        records.remove(1);
    }
    records.push(BlobRecord {
        digest: blob.digest,
        source_repository: blob.repository.clone(),
        size: blob.size,
        media_type: blob.media_type.clone(),
    });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_noted_once_and_the_kept_blob_stays_first() {
        let digest = |byte| Digest::from_sha256([byte; 32]);
        let blob = |byte, repository: &str| KnownBlob {
            digest: digest(byte),
            size: 1,
            media_type: "x".to_owned(),
            repository: repository.to_owned(),
        };
        let kept =
            BlobRecord { digest: digest(0), source_repository: String::new(), size: 1, media_type: "x".to_owned() };
        let mut records = vec![kept];
        assert!(note(&mut records, &blob(0, "a")) && !note(&mut records, &blob(0, "a")));
        assert!(note(&mut records, &blob(0, "b")));
        assert_eq!((records.len(), records[0].source_repository.as_str()), (2, "a"));
        (1..100).for_each(|byte| assert!(note(&mut records, &blob(byte, "a"))));
        assert_eq!((records.len(), records[0].digest, records[MOST - 1].digest), (MOST, digest(0), digest(99)));
    }
}
