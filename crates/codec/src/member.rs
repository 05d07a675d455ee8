//! One gzip member that says how long it is (RFC 1952, section 2.3; the extra field is that of mgzip).
//!
//! ```text
//! 0   1f 8b 08 04            magic, deflate, an extra field follows
//! 4   00 00 00 00 00 ff      no time, no hint, no system
//! 10  08 00                  length of the extra field
//! 12  'I' 'G' 04 00          its name and length
//! 16  length                 bytes of the whole member, little endian
//! 20  …                      deflate
//! -8  crc32                  of the content
//! -4  length                 of the content, modulo 2^32
//! ```

use std::io;

use libdeflater::{CompressionLvl, Compressor, Crc, Decompressor};

/// Bytes before the deflated content.
pub(crate) const HEADER: usize = 20;
const TRAILER: usize = 8;
const PREFIX: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 8, 0, b'I', b'G', 4, 0];
/// Content of a member that is written: longer ones compress hardly better.
pub(crate) const CONTENT: usize = 512 << 10;
/// The longest member that is taken into memory whole, and the longest content of one.
const LONGEST: usize = 4 << 20;
const LONGEST_CONTENT: usize = 8 << 20;

/// The length of the member that begins with this header; `None` when it does not say, or is too long.
pub(crate) fn length(header: &[u8]) -> Option<usize> {
    let (before, after) = header.get(..HEADER)?.split_at(16);
    // Time, hint and system may be anything.
    let known = before[..4] == PREFIX[..4] && before[10..] == PREFIX[10..];
    let length = usize::try_from(u32::from_le_bytes(after.try_into().ok()?)).ok()?;
    (known && (HEADER + TRAILER..=LONGEST).contains(&length)).then_some(length)
}

/// The length of a member's content; `None` when it is too long to be undone in one go.
pub(crate) fn content_length(member: &[u8]) -> Option<usize> {
    let field = member.last_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*field)).ok().filter(|length| *length <= LONGEST_CONTENT)
}

/// Undoes a member whose content has this length, into a buffer whatever it held before.
pub(crate) fn inflate(
    decompressor: &mut Decompressor,
    member: &[u8],
    length: usize,
    content: &mut Vec<u8>,
) -> io::Result<()> {
    content.resize(length, 0);
    match decompressor.gzip_decompress(member, content) {
        Ok(count) if count == length => Ok(()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "gzip: invalid length")),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("gzip: {error}"))),
    }
}

/// Makes the compressor for [`deflate`].
pub(crate) fn compressor(level: i32) -> Compressor {
    Compressor::new(CompressionLvl::new(level).unwrap_or_default())
}

/// Makes a member, in a buffer whatever it held before.
pub(crate) fn deflate(compressor: &mut Compressor, content: &[u8], member: &mut Vec<u8>) {
    member.resize(HEADER + compressor.deflate_compress_bound(content.len()) + TRAILER, 0);
    // It fails only when the bound was none.
    let count = compressor.deflate_compress(content, &mut member[HEADER..]).unwrap_or_default();
    member.truncate(HEADER + count);
    let mut crc = Crc::new();
    crc.update(content);
    member.extend(crc.sum().to_le_bytes());
    member.extend((content.len() as u32).to_le_bytes());
    let length = member.len() as u32;
    member[..16].copy_from_slice(&PREFIX);
    member[16..HEADER].copy_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn members_say_how_long_they_are_and_are_gzip() {
        for content in [&b""[..], b"x", &b"layer ".repeat(50_000)] {
            let mut member = vec![1; 3];
            deflate(&mut compressor(3), content, &mut member);
            assert_eq!((length(&member), content_length(&member)), (Some(member.len()), Some(content.len())));
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&member[..]).read_to_end(&mut plain).expect("gzip");
            assert!(plain == content);
            plain = vec![1; 7];
            inflate(&mut Decompressor::new(), &member, content.len(), &mut plain).expect("member");
            assert!(plain == content);
        }
    }

    #[test]
    fn a_header_that_lies_is_not_believed() {
        let mut member = Vec::new();
        deflate(&mut compressor(3), b"layer", &mut member);
        assert!(inflate(&mut Decompressor::new(), &member, 6, &mut Vec::new()).is_err());
        assert!(inflate(&mut Decompressor::new(), &member, 4, &mut Vec::new()).is_err());
        member[16..HEADER].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(length(&member), None);
        member[16..HEADER].copy_from_slice(&3u32.to_le_bytes());
        assert_eq!(length(&member), None);
        assert_eq!(length(&member[..10]), None);
    }
}
