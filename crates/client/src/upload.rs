//! Request bodies that are written while they are sent.

use std::convert::Infallible;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

/// Bytes of a piece.
const PIECE: usize = 128 * 1024;
/// Pieces on their way.
const IN_FLIGHT: usize = 4;

/// A request body that somebody else writes.
#[derive(Debug)]
pub struct Upload {
    pieces: mpsc::Receiver<Bytes>,
}

/// Where an [`Upload`] is written, by a thread that may wait. The body ends when it goes; what was not flushed is lost.
#[derive(Debug)]
pub struct UploadWriter {
    pieces: mpsc::Sender<Bytes>,
    buffer: Vec<u8>,
    total: u64,
}

// === impl Upload ===

impl Upload {
    /// A body and its writer.
    #[must_use]
    pub fn new() -> (UploadWriter, Self) {
        let (sender, pieces) = mpsc::channel(IN_FLIGHT);
        (UploadWriter { pieces: sender, buffer: Vec::with_capacity(PIECE), total: 0 }, Self { pieces })
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.pieces.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

// === impl UploadWriter ===

impl UploadWriter {
    /// Bytes that were written.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}

impl Write for UploadWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        self.total += bytes.len() as u64;
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    /// `BrokenPipe` when the engine has answered before it read everything.
    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        self.pieces.blocking_send(piece.into()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
