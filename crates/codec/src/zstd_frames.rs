//! Making zstd: frames behind one another (RFC 8878, section 3), each with a checksum of its content.

use std::io::{self, Write};

use crate::pieces::{Piece, Pieces, threads};

/// Bytes of content in a frame: longer ones find hardly more to repeat, and each thread has two of them in memory.
const CONTENT: usize = 2 << 20;

/// Compresses what is written to it. The result depends on the content alone, not on how it was written or on the
/// machine.
pub struct ZstdWriter<W>(Pieces<W>);

impl<W: Write> ZstdWriter<W> {
    /// Compresses into `writer`.
    pub fn new(writer: W) -> Self {
        Self::with_threads(writer, threads())
    }

    fn with_threads(writer: W, threads: usize) -> Self {
        Self(Pieces::new(writer, CONTENT, threads, || {
            let mut compressor = None;
            move |piece: &mut Piece| piece.failure = compress(&mut compressor, piece).err()
        }))
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The writer's, or that there is no memory.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for ZstdWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// Does nothing: only a whole frame can be written.
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The compressor is made with the first piece, where its refusal can be told.
fn compress(made: &mut Option<zstd::bulk::Compressor<'static>>, piece: &mut Piece) -> io::Result<()> {
    let compressor = match made {
        Some(compressor) => compressor,
        None => {
            let mut compressor = zstd::bulk::Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?;
            compressor.include_checksum(true)?;
            made.insert(compressor)
        }
    };
    piece.compressed.clear();
    piece.compressed.reserve(zstd::zstd_safe::compress_bound(piece.content.len()));
    compressor.compress_to_buffer(&piece.content[..], &mut piece.compressed).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::{Compression, decode};

    #[test]
    fn every_reader_reads_it_and_threads_do_not_show() {
        let mut text = Vec::new();
        (0..1_200_000u32).for_each(|number| text.extend((number.wrapping_mul(2_654_435_761) >> 12).to_le_bytes()));
        for length in [0, 1, CONTENT, CONTENT + 1, text.len()] {
            let made = [1, 3].map(|threads| {
                let mut writer = ZstdWriter::with_threads(Vec::new(), threads);
                text[..length].chunks(1000).for_each(|chunk| writer.write_all(chunk).expect("write"));
                writer.finish().expect("finish")
            });
            assert!(made[0] == made[1], "{length}");
            assert_eq!(Compression::of(&made[0]), Compression::Zstd);
            let mut plain = Vec::new();
            decode(Compression::Zstd, &made[0][..]).expect("decoder").read_to_end(&mut plain).expect("zstd");
            assert!(plain == text[..length], "{length}");
        }
    }

    #[test]
    fn what_was_changed_is_noticed() {
        let mut writer = ZstdWriter::new(Vec::new());
        writer.write_all(&[7; 100_000]).expect("write");
        let mut made = writer.finish().expect("finish");
        let last = made.len() - 1;
        made[last] ^= 1;
        assert!(decode(Compression::Zstd, &made[..]).expect("decoder").read_to_end(&mut Vec::new()).is_err());
    }
}
