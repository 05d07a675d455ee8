//! Undoing compression.

use std::io::{self, BufRead, Read};

use crate::Compression;
use crate::inflate::Gzip;

/// Undoes compression. What follows the last member or frame of a stream and begins another one belongs to it.
///
/// # Errors
/// When there is no memory for a decoder; what is wrong with the stream shows when it is read.
pub fn decode<'a>(compression: Compression, reader: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(reader),
        Compression::Gzip => Box::new(Gzip::new(reader)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(reader)?),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
        // Several streams behind one another are one archive, as xz(1) has it.
        Compression::Xz => Box::new(lzma_rust2::XzReader::new(reader, true)),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn every_kind_is_undone() {
        let text = b"layer".repeat(10_000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).expect("compress");
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&text).expect("compress");
        for (kind, bytes) in [
            (Compression::None, text.clone()),
            (Compression::Gzip, gzip.finish().expect("compress")),
            (Compression::Zstd, zstd::encode_all(&text[..], 1).expect("compress")),
            (Compression::Bzip2, bzip2.finish().expect("compress")),
        ] {
            assert_eq!(Compression::of(&bytes), kind);
            let mut plain = Vec::new();
            decode(kind, &bytes[..]).expect("decoder").read_to_end(&mut plain).expect("read");
            assert!(plain == text, "{kind:?}");
            let cut = &bytes[..bytes.len() - 3];
            let result = decode(kind, cut).expect("decoder").read_to_end(&mut Vec::new());
            assert!(result.is_err() || kind == Compression::None, "{kind:?}");
        }
    }
}
