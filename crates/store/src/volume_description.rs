//! What a volume's archive says about the volume itself: a comment in a PAX global header (POSIX pax, "comment"),
//! which every other reader of archives passes over in silence.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};

use serde::{Deserialize, Serialize};

use crate::error::ArchiveProblem;
use crate::stream::stream_error;
use crate::unpack::guard::{LIMIT, parse};
use crate::{Error, Result, Volume};

const BLOCK: usize = 512;
const EDITION: u32 = 1;

/// What an archive knows of the volume that it was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// The edition of this shape; also the mark by which it is known.
    gantry_volume: u32,
    /// The volume's name then.
    pub(crate) name: String,
    /// Its driver.
    pub(crate) driver: String,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its driver options.
    pub(crate) options: BTreeMap<String, String>,
    /// RFC 3339 time of its creation.
    pub(crate) created_at: String,
}

// === impl Description ===

impl Description {
    pub(crate) fn of(volume: &Volume) -> Self {
        Self {
            gantry_volume: EDITION,
            name: volume.name.clone(),
            driver: volume.driver.clone(),
            labels: volume.labels.clone(),
            options: volume.options.clone(),
            created_at: volume.created_at.clone(),
        }
    }

    /// Writes it as the first entry of an archive.
    ///
    /// # Errors
    /// [`Error::Archive`] when it is longer than readers take; [`Error::Stream`].
    pub(crate) fn write(&self, archive: &mut impl Write) -> Result<()> {
        // Without line breaks: JSON writes those of texts as escapes.
        let text = serde_json::to_string(self)
            .map_err(|error| Error::Document { what: format!("volume {}", self.name), reason: error.to_string() })?;
        let record = record("comment", &text);
        if record.len() as u64 > LIMIT {
            let text = format!("the labels and options of volume {} are too long for an archive", self.name);
            return Err(Error::Archive(ArchiveProblem::Malformed(text)));
        }
        let mut header = tar::Header::new_ustar();
        header.set_path("pax_global_header").map_err(Error::Stream)?;
        header.set_entry_type(tar::EntryType::XGlobalHeader);
        header.set_mode(0o644);
        header.set_size(record.len() as u64);
        header.set_cksum();
        let mut content = record.into_bytes();
        content.resize(content.len().next_multiple_of(BLOCK), 0);
        archive.write_all(header.as_bytes()).and_then(|()| archive.write_all(&content)).map_err(Error::Stream)
    }

    /// Reads it, if an archive begins with one, and gives the archive back, whole.
    ///
    /// # Errors
    /// [`Error::Archive`] for what is no archive at all, or the failure to read.
    pub(crate) fn read<'a>(mut archive: impl Read + 'a) -> Result<(Option<Self>, Box<dyn Read + 'a>)> {
        let mut begin = Vec::with_capacity(2 * BLOCK);
        let mut take =
            |count: u64, begin: &mut Vec<u8>| (&mut archive).take(count).read_to_end(begin).map_err(stream_error);
        let mut found = None;
        if take(BLOCK as u64, &mut begin)? < BLOCK {
            return Err(Error::Archive(ArchiveProblem::Malformed("unexpected EOF".to_owned())));
        }
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(&begin);
        if let Ok(size @ 1..=LIMIT) = header.entry_size()
            && header.entry_type() == tar::EntryType::XGlobalHeader
        {
            take(size.next_multiple_of(BLOCK as u64), &mut begin)?;
            let end = begin.len().min(BLOCK + usize::try_from(size).unwrap_or_default());
            found = comment(&begin[BLOCK..end]);
        }
        Ok((found, Box::new(Cursor::new(begin).chain(archive))))
    }
}

fn comment(records: &[u8]) -> Option<Description> {
    let records = parse(records)?;
    let (_, text) = records.iter().find(|(key, _)| *key == b"comment")?;
    // A comment of another program's is no description.
    serde_json::from_slice::<Description>(text).ok().filter(|found| found.gantry_volume == EDITION)
}

/// A PAX record: its own length in front.
fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Description {
            gantry_volume: EDITION,
            name: "data".to_owned(),
            driver: "local".to_owned(),
            labels: BTreeMap::from([pair("a=b", "two\nlines"), pair("ä", "")]),
            options: BTreeMap::from([pair("type", "tmpfs")]),
            created_at: "2026-01-01T00:00:00Z".to_owned(),
        }
    }

    #[test]
    fn is_read_back_and_the_archive_stays_whole() {
        let mut archive = Vec::new();
        description().write(&mut archive).expect("written");
        archive.extend([7; 100]);
        let (found, mut reader) = Description::read(&archive[..]).expect("read");
        assert_eq!(found, Some(description()));
        let mut again = Vec::new();
        reader.read_to_end(&mut again).expect("read");
        assert_eq!(again, archive);
    }

    #[test]
    fn other_archives_have_none() {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_data(&mut tar::Header::new_gnu(), "f", &b""[..]).expect("entry");
        let plain = builder.into_inner().expect("archive");
        assert_eq!(Description::read(&plain[..]).expect("read").0, None);
        // As git has it.
        let mut other = tar::Header::new_ustar();
        other.set_entry_type(tar::EntryType::XGlobalHeader);
        let text = record("comment", "0123456789abcdef");
        other.set_size(text.len() as u64);
        let bytes = [other.as_bytes(), text.as_bytes(), &[0; 480]].concat();
        assert_eq!(Description::read(&bytes[..]).expect("read").0, None);
        assert!(Description::read(&b"short"[..]).is_err());
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let labels = BTreeMap::from([("a".to_owned(), "b".repeat(2 << 20))]);
        assert!(Description { labels, ..description() }.write(&mut Vec::new()).is_err());
    }
}
