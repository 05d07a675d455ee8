//! Making gzip.

use std::io::{self, Write};

use crate::member::{CONTENT, compressor, deflate};
use crate::pieces::{Piece, Pieces, threads};

/// Between speed and size: twice the speed of what gzip(1) has as its default, for a thirtieth more bytes.
const LEVEL: i32 = 2;

/// Compresses what is written to it. The result depends on the content alone, not on how it was written or on the
/// machine.
pub struct GzipWriter<W>(Pieces<W>);

impl<W: Write> GzipWriter<W> {
    /// Compresses into `writer`.
    pub fn new(writer: W) -> Self {
        Self::with_threads(writer, threads())
    }

    fn with_threads(writer: W, threads: usize) -> Self {
        Self(Pieces::new(writer, CONTENT, threads, || {
            let mut compressor = compressor(LEVEL);
            move |piece: &mut Piece| deflate(&mut compressor, &piece.content, &mut piece.compressed)
        }))
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// Does nothing: only a whole member can be written.
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
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
