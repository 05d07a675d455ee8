//! Docker's stdcopy frames: stream number, three zeros, big-endian length, bytes.

use crate::query::Stream;

/// The length of a frame's header, in bytes.
pub(crate) const HEADER: usize = 8;

/// Writes the header of a frame into the first 8 bytes of `frame`, whose rest is the content.
pub(crate) fn fill_header(frame: &mut [u8], stream: Stream) {
    let length = u32::try_from(frame.len() - HEADER).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&[stream.number(), 0, 0, 0]);
    frame[4..HEADER].copy_from_slice(&length.to_be_bytes());
}
