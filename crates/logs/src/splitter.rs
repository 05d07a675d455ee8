//! The bytes of two streams to lines, and long lines to pieces, however they arrive.

use crate::query::Stream;

/// A line longer than this is recorded in pieces; only the last one has the newline. As in Docker.
pub(crate) const PIECE: usize = 16 * 1024;

/// Holds back what is not a whole line yet.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// The part of a line that has no newline yet, by stream; less than [`PIECE`] bytes.
    held: [Vec<u8>; 2],
}

// === impl Splitter ===

impl Splitter {
    /// Calls `piece` with every line that `bytes` complete (newline included) and with every full piece.
    pub(crate) fn append(&mut self, stream: Stream, mut bytes: &[u8], mut piece: impl FnMut(&[u8])) {
        let held = &mut self.held[stream.index()];
        if !held.is_empty() {
            let room = PIECE - held.len();
            let take = match memchr::memchr(b'\n', &bytes[..room.min(bytes.len())]) {
                Some(newline) => newline + 1,
                None => room.min(bytes.len()),
            };
            held.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if held.len() < PIECE && held.last() != Some(&b'\n') {
                return;
            }
            piece(held);
            held.clear();
        }
        loop {
            let window = &bytes[..bytes.len().min(PIECE)];
            let length = match memchr::memchr(b'\n', window) {
                Some(newline) => newline + 1,
                None if window.len() == PIECE => PIECE,
                None => break,
            };
            piece(&bytes[..length]);
            bytes = &bytes[length..];
        }
        held.extend_from_slice(bytes);
    }

    /// What is held of a stream that has ended.
    pub(crate) fn finish(&mut self, stream: Stream) -> Option<Vec<u8>> {
        let held = std::mem::take(&mut self.held[stream.index()]);
        (!held.is_empty()).then_some(held)
    }

    /// Gives back memory that nothing uses at the moment.
    pub(crate) fn release(&mut self) {
        self.held.iter_mut().filter(|held| held.is_empty()).for_each(|held| *held = Vec::new());
    }
}
