//! Compressed log files: what stands before the content, and how both are read.
//!
//! A gzip file has a JSON object as its extra field, as Docker writes it, with more keys; a zstd file has the same
//! object in a skippable frame. It tells what is inside without decompressing.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt as _;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use serde::{Deserialize, Serialize};

use crate::files::Codec;
use crate::timestamp::Timestamp;

/// A skippable frame (RFC 8878, 3.1.2).
const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// Measured on log lines: level 1 costs a third of the default's time for a tenth more bytes.
const LEVEL: u32 = 1;

/// What is known of a compressed file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// RFC 3339; Docker's key.
    #[serde(rename = "lastTime", default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_time: Option<String>,
    /// The number of entries; absent in Docker's own files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entries: Option<u64>,
    /// Device and inode of the file it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<(u64, u64)>,
}

/// A compressed file being written.
pub(crate) enum Packer {
    Gzip(GzEncoder<File>),
    Zstd(zstd::stream::write::Encoder<'static, File>),
}

/// The content of a compressed file.
pub(crate) enum Unpacker {
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<File>>),
}

// === impl Summary ===

impl Summary {
    /// Reads what stands at the start of the file; nothing known when it is somebody else's.
    pub(crate) fn read(file: &File, codec: Codec) -> io::Result<Self> {
        let mut head = vec![0; 4096];
        let length = file.read_at(&mut head, 0)?;
        let head = &head[..length];
        let text = match codec {
            // RFC 1952: ten bytes, of which the fourth has the flags, then the extra field's length.
            Codec::Gzip if head.first_chunk::<4>().is_some_and(|head| head[3] & 4 != 0) => slice(head, 10, 2),
            Codec::Gzip => None,
            Codec::Zstd => head.starts_with(&SKIPPABLE).then(|| slice(head, 4, 4)).flatten(),
        };
        Ok(text.and_then(|text| serde_json::from_slice(text).ok()).unwrap_or_default())
    }

    /// When the last entry was written.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        Timestamp::parse(self.last_time.as_ref()?.as_bytes())
    }
}

/// The bytes whose little-endian length of `width` bytes is at `at`.
fn slice(head: &[u8], at: usize, width: usize) -> Option<&[u8]> {
    let length = head.get(at..at + width)?.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    head.get(at + width..at + width + length)
}

// === impl Packer ===

impl Packer {
    pub(crate) fn new(mut file: File, codec: Codec, summary: &Summary) -> io::Result<Self> {
        let text = serde_json::to_vec(summary)?;
        Ok(match codec {
            Codec::Gzip => Self::Gzip(GzBuilder::new().extra(text).write(file, Compression::new(LEVEL))),
            Codec::Zstd => {
                file.write_all(&SKIPPABLE)?;
                file.write_all(&(text.len() as u32).to_le_bytes())?;
                file.write_all(&text)?;
                Self::Zstd(zstd::stream::write::Encoder::new(file, LEVEL as i32)?)
            }
        })
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Self::Gzip(packer) => packer.finish().map(drop),
            Self::Zstd(packer) => packer.finish().map(drop),
        }
    }
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(packer) => packer.write(bytes),
            Self::Zstd(packer) => packer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(packer) => packer.flush(),
            Self::Zstd(packer) => packer.flush(),
        }
    }
}

// === impl Unpacker ===

impl Unpacker {
    /// `file` is at its start.
    pub(crate) fn new(file: File, codec: Codec) -> io::Result<Self> {
        let file = BufReader::with_capacity(128 * 1024, file);
        Ok(match codec {
            Codec::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(file))),
            Codec::Zstd => Self::Zstd(zstd::stream::read::Decoder::with_buffer(file)?),
        })
    }
}

impl Read for Unpacker {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(unpacker) => unpacker.read(into),
            Self::Zstd(unpacker) => unpacker.read(into),
        }
    }
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
        })
    }
}
