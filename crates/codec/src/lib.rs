//! Compressed streams: recognised, undone and made, on as many cores as there are.
//!
//! Gzip is written as many small members behind one another (RFC 1952, section 2.2: that is a gzip file too), each of
//! which says how long it is. Every reader of gzip reads that; this one, and others that know the convention, undo
//! the members side by side, and each in one go, which is twice as fast as undoing a stream.

mod compression;
mod decode;
mod gzip;
mod inflate;
mod member;
mod ordered;
mod pieces;
mod zstd_frames;

pub use compression::Compression;
pub use decode::decode;
pub use gzip::GzipWriter;
pub use zstd_frames::ZstdWriter;
