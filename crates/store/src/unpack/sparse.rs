//! Files with holes as GNU tar writes them in PAX archives (its manual, "Storing Sparse Files"; forms 0.0, 0.1 and 1.0).
//! The old form without PAX records is the tar library's.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crate::error::ArchiveProblem;
use crate::stream::stream_error;
use crate::{Error, Result};

/// More pieces than this are not a file but an attack on memory.
const PIECES: usize = 1 << 20;
const BLOCK: usize = 512;

/// What the records of an entry say about holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sparse {
    /// The file's name; the entry's own is made up.
    pub(super) name: Option<Vec<u8>>,
    /// The file's length.
    size: Option<u64>,
    /// The map stands in front of the content.
    in_content: bool,
    /// Offset and length, flat.
    map: Vec<u64>,
}

// === impl Sparse ===

impl Sparse {
    /// Takes a record, without `GNU.sparse.`.
    pub(super) fn record(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match key {
            b"name" => self.name = Some(value.to_owned()),
            b"size" | b"realsize" => self.size = Some(number(value)?),
            b"major" => self.in_content = number(value)? == 1,
            b"map" => {
                self.map.clear();
                for part in value.split(|byte| *byte == b',').filter(|part| !part.is_empty()) {
                    self.push(number(part)?)?;
                }
            }
            b"offset" | b"numbytes" => self.push(number(value)?)?,
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, value: u64) -> Result<()> {
        if self.map.len() >= 2 * PIECES {
            return Err(malformed("too many pieces"));
        }
        self.map.push(value);
        Ok(())
    }

    /// Writes the pieces of a file where they belong and gives its length. `stored` are the bytes of the entry.
    ///
    /// # Errors
    /// [`Error::Archive`] when the map contradicts itself or the content, or the failure to write.
    pub(super) fn write(
        mut self,
        content: &mut impl Read,
        stored: u64,
        file: &mut File,
        path: &std::path::Path,
    ) -> Result<u64> {
        let mut left = stored;
        if self.in_content {
            left = self.read_map(content, stored)?;
        }
        let size = self.size.ok_or_else(|| malformed("without a size"))?;
        let pieces = self.map.chunks(2);
        let mut end = 0;
        for piece in pieces {
            let &[offset, length] = piece else { return Err(malformed("with half a piece")) };
            let next = offset.checked_add(length).filter(|next| offset >= end && *next <= size && length <= left);
            end = next.ok_or_else(|| malformed("with pieces that do not fit"))?;
            left -= length;
            let failed = |source| Error::io("write", path, source);
            file.seek(SeekFrom::Start(offset)).map_err(failed)?;
            copy(&mut content.by_ref().take(length), file, path)?;
        }
        if left > 0 {
            return Err(malformed("with content that has no place"));
        }
        file.set_len(size).map_err(|source| Error::io("truncate", path, source))?;
        Ok(size)
    }

    /// The map of form 1.0: numbers, one a line, the first one how many pieces there are; filled up to a block.
    fn read_map(&mut self, content: &mut impl Read, stored: u64) -> Result<u64> {
        self.map.clear();
        let (mut block, mut text, mut used) = ([0; BLOCK], Vec::new(), 0_u64);
        let mut wanted: Option<usize> = None;
        while wanted.is_none_or(|wanted| self.map.len() < wanted) {
            used += BLOCK as u64;
            if used > stored {
                return Err(malformed("without a whole map"));
            }
            content.read_exact(&mut block).map_err(stream_error)?;
            for byte in block {
                match byte {
                    b'\n' if wanted.is_none() => {
                        let pieces = usize::try_from(number(&text)?).ok().filter(|pieces| *pieces <= PIECES);
                        wanted = Some(2 * pieces.ok_or_else(|| malformed("too many pieces"))?);
                        text.clear();
                    }
                    b'\n' => {
                        self.push(number(&text)?)?;
                        text.clear();
                    }
                    _ if wanted.is_some_and(|wanted| self.map.len() >= wanted) => break,
                    _ if text.len() > 20 => return Err(malformed("with a map that is none")),
                    byte => text.push(byte),
                }
            }
        }
        Ok(stored - used)
    }
}

fn copy(content: &mut impl Read, file: &mut File, path: &std::path::Path) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = content.read(&mut buffer).map_err(stream_error)?;
        if count == 0 {
            return Ok(());
        }
        std::io::Write::write_all(file, &buffer[..count]).map_err(|source| Error::io("write", path, source))?;
    }
}

fn number(text: &[u8]) -> Result<u64> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed("with a number that is none"))
}

fn malformed(what: &str) -> Error {
    Error::Archive(ArchiveProblem::Malformed(format!("archive/tar: invalid tar header: sparse file {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(sparse: Sparse, content: &[u8]) -> Result<(u64, Vec<u8>)> {
        let mut file = tempfile::tempfile().expect("file");
        let size = sparse.write(&mut &content[..], content.len() as u64, &mut file, std::path::Path::new("/f"))?;
        let mut back = Vec::new();
        file.seek(SeekFrom::Start(0)).expect("seek");
        file.read_to_end(&mut back).expect("read");
        Ok((size, back))
    }

    fn records(records: &[(&str, &str)]) -> Result<Sparse> {
        let mut sparse = Sparse::default();
        for (key, value) in records {
            sparse.record(key.as_bytes(), value.as_bytes())?;
        }
        Ok(sparse)
    }

    #[test]
    fn all_three_forms_are_read() {
        let expected = (10, b"\0\0ab\0\0\0c\0\0".to_vec());
        let old = records(&[
            ("size", "10"),
            ("numblocks", "2"),
            ("offset", "2"),
            ("numbytes", "2"),
            ("offset", "7"),
            ("numbytes", "1"),
        ]);
        assert_eq!(written(old.expect("valid"), b"abc").expect("whole"), expected);
        let middle = records(&[("size", "10"), ("map", "2,2,7,1")]);
        assert_eq!(written(middle.expect("valid"), b"abc").expect("whole"), expected);
        let new = records(&[("major", "1"), ("minor", "0"), ("realsize", "10"), ("name", "f")]).expect("valid");
        let mut content = b"2\n2\n2\n7\n1\n".to_vec();
        content.resize(BLOCK, 0);
        content.extend(b"abc");
        assert_eq!(written(new, &content).expect("whole"), expected);
    }

    #[test]
    fn maps_that_lie_are_refused() {
        for map in ["2,2,1,1", "9,2", "0,4", "0,2", "5", "0,18446744073709551615"] {
            let sparse = records(&[("size", "10"), ("map", map)]).expect("numbers");
            assert!(written(sparse, b"abc").is_err(), "{map}");
        }
        for (key, value) in [("size", "-1"), ("size", "99999999999999999999"), ("map", "a,b"), ("major", "x")] {
            assert!(records(&[(key, value)]).is_err(), "{key}={value}");
        }
        let new = || records(&[("major", "1"), ("realsize", "10")]).expect("valid");
        for text in ["99999999\n", "2\n1\n", "1\n111111111111111111111111\n"] {
            let mut content = text.as_bytes().to_vec();
            content.resize(BLOCK, 0);
            assert!(written(new(), &content).is_err(), "{text}");
        }
        assert!(written(new(), b"1\n").is_err() && written(Sparse::default(), b"").is_err());
    }
}
