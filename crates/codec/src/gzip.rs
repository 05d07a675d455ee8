//! Making gzip.

use std::io::{self, Write};
use std::thread::available_parallelism;

use crate::member::{CONTENT, compressor, deflate};
use crate::ordered::Ordered;

/// Between speed and size: twice the speed of what gzip(1) has as its default, for a thirtieth more bytes.
const LEVEL: i32 = 2;
/// More of them would take memory rather than time.
const MOST_THREADS: usize = 8;

/// A member on its way through a thread; its buffers are used again.
#[derive(Default)]
struct Piece {
    content: Vec<u8>,
    member: Vec<u8>,
}

/// Compresses what is written to it. The result depends on the content alone, not on how it was written or on the
/// machine.
pub struct GzipWriter<W> {
    writer: W,
    content: Vec<u8>,
    members: Ordered<Piece, Piece>,
    /// Buffers of members that were written.
    spare: Vec<Piece>,
    /// Nothing was written: even then there has to be a member.
    is_empty: bool,
}

impl<W: Write> GzipWriter<W> {
    /// Compresses into `writer`.
    pub fn new(writer: W) -> Self {
        let threads = available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        Self::with_threads(writer, threads)
    }

    fn with_threads(writer: W, threads: usize) -> Self {
        let members = Ordered::new(threads, || {
            let mut compressor = compressor(LEVEL);
            move |mut piece: Piece| {
                deflate(&mut compressor, &piece.content, &mut piece.member);
                piece
            }
        });
        Self { writer, content: Vec::with_capacity(CONTENT), members, spare: Vec::new(), is_empty: true }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> io::Result<W> {
        if self.is_empty || !self.content.is_empty() {
            self.member()?;
        }
        while !self.members.is_empty() {
            self.put()?;
        }
        Ok(self.writer)
    }

    fn member(&mut self) -> io::Result<()> {
        let mut piece = self.spare.pop().unwrap_or_default();
        std::mem::swap(&mut piece.content, &mut self.content);
        self.content.clear();
        self.content.reserve_exact(CONTENT);
        self.members.push(piece);
        self.is_empty = false;
        while self.members.is_full() {
            self.put()?;
        }
        Ok(())
    }

    fn put(&mut self) -> io::Result<()> {
        let piece = self.members.pop().ok_or_else(|| io::Error::other("a thread that compresses has died"))?;
        self.writer.write_all(&piece.member)?;
        self.spare.push(piece);
        Ok(())
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CONTENT - self.content.len());
        self.content.extend_from_slice(&bytes[..count]);
        if self.content.len() == CONTENT {
            self.member()?;
        }
        Ok(count)
    }

    /// Does nothing: only a whole member can be written.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::{Compression, decode};

    #[test]
    fn every_reader_reads_it_and_threads_do_not_show() {
        let mut text = Vec::new();
        (0..400_000u32).for_each(|number| text.extend((number.wrapping_mul(2_654_435_761) >> 12).to_le_bytes()));
        for length in [0, 1, CONTENT, CONTENT + 1, text.len()] {
            let made = [1, 3].map(|threads| {
                let mut writer = GzipWriter::with_threads(Vec::new(), threads);
                text[..length].chunks(1000).for_each(|chunk| writer.write_all(chunk).expect("write"));
                writer.finish().expect("finish")
            });
            assert!(made[0] == made[1], "{length}");
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(&made[0][..]).read_to_end(&mut plain).expect("gzip");
            assert!(plain == text[..length], "{length}");
            plain.clear();
            decode(Compression::Gzip, &made[0][..]).expect("decoder").read_to_end(&mut plain).expect("gzip");
            assert!(plain == text[..length], "{length}");
        }
    }
}
