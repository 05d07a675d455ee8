//! Files with holes in archives: PAX form 1.0 of GNU tar (its manual, "Storing Sparse Files"), which GNU tar and
//! libarchive read. The archive has the pieces that are no holes, and in front of them a map of where they belong.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use rustix::io::Errno;

use crate::copy_content::next_piece;

const BLOCK: usize = 512;
/// With more pieces the map would be worth no saving; `unpack/sparse.rs` reads no more either.
const PIECES: usize = 1 << 18;

/// A file with holes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Holes {
    /// Where each piece begins, and its bytes.
    pieces: Vec<(u64, u64)>,
    size: u64,
}

// === impl Holes ===

impl Holes {
    /// The pieces of a file that has holes; `None` for one that is better written whole.
    ///
    /// # Errors
    /// The file system's refusal.
    pub(crate) fn of(file: &File, size: u64, blocks: u64) -> Result<Option<Self>, Errno> {
        if size == 0 || blocks.saturating_mul(BLOCK as u64) >= size {
            return Ok(None);
        }
        let (mut pieces, mut at) = (Vec::new(), 0);
        while at < size
            && let Some((start, end)) = next_piece(file, at)?
        {
            // It may have grown meanwhile.
            if start >= size || pieces.len() == PIECES {
                break;
            }
            at = end.min(size);
            pieces.push((start, at - start));
        }
        if pieces.len() == PIECES || pieces == [(0, size)] {
            return Ok(None);
        }
        // A hole at the end shows as a piece without bytes.
        if at < size {
            pieces.push((size, 0));
        }
        Ok(Some(Self { pieces, size }))
    }

    /// What stands in the archive instead of the file's name, which a reader without knowledge of holes makes.
    pub(crate) fn placeholder(shown: &[u8]) -> Vec<u8> {
        let (directory, name) = match shown.iter().rposition(|byte| *byte == b'/') {
            Some(at) => shown.split_at(at + 1),
            None => (&b""[..], shown),
        };
        [directory, b"GNUSparseFile.0/", name].concat()
    }

    /// The records that say what the entry is.
    pub(crate) fn records(&self, shown: &[u8]) -> Vec<(String, Vec<u8>)> {
        let record = |key: &str, value: &[u8]| (format!("GNU.sparse.{key}"), value.to_owned());
        vec![
            record("major", b"1"),
            record("minor", b"0"),
            record("name", shown),
            record("realsize", self.size.to_string().as_bytes()),
        ]
    }

    /// The content of the entry: its bytes, and what gives them. A file that shrinks meanwhile is filled up.
    pub(crate) fn content(self, file: &File) -> (u64, impl Read + '_) {
        let mut map = format!("{}\n", self.pieces.len());
        for (start, length) in &self.pieces {
            map.push_str(&format!("{start}\n{length}\n"));
        }
        let mut map = map.into_bytes();
        map.resize(map.len().next_multiple_of(BLOCK), 0);
        let stored = map.len() as u64 + self.pieces.iter().map(|(_, length)| length).sum::<u64>();
        (stored, io::Cursor::new(map).chain(Pieces { file, pieces: self.pieces.into_iter(), at: 0, left: 0 }))
    }
}

struct Pieces<'a> {
    file: &'a File,
    pieces: std::vec::IntoIter<(u64, u64)>,
    at: u64,
    left: u64,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let Some((start, length)) = self.pieces.next() else { return Ok(0) };
            (self.at, self.left) = (start, length);
        }
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let mut count = self.file.read_at(&mut buffer[..most], self.at)?;
        if count == 0 {
            buffer[..most].fill(0);
            count = most;
        }
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn the_map_stands_before_the_pieces() {
        let file = tempfile::tempfile().expect("file");
        file.set_len(10 << 20).expect("grow");
        file.write_all_at(&[7; 4096], 4096).expect("write");
        let blocks = file.metadata().expect("metadata").blocks();
        let holes = Holes::of(&file, 10 << 20, blocks).expect("asked").expect("holes");
        assert_eq!(holes.pieces, [(4096, 4096), (10 << 20, 0)]);
        let (stored, mut reader) = holes.content(&file);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("read");
        assert_eq!((stored, bytes.len()), (512 + 4096, 512 + 4096));
        assert!(bytes.starts_with(b"2\n4096\n4096\n10485760\n0\n\0") && bytes[512..] == [7; 4096]);
        assert_eq!(Holes::placeholder(b"./a/b"), b"./a/GNUSparseFile.0/b");
    }

    #[test]
    fn whole_files_have_none() {
        let file = tempfile::tempfile().expect("file");
        assert_eq!(Holes::of(&file, 0, 0), Ok(None));
        file.write_all_at(&[7; 4096], 0).expect("write");
        assert_eq!(Holes::of(&file, 4096, file.metadata().expect("metadata").blocks()), Ok(None));
    }
}
