//! Content cut into pieces, each compressed by itself on one of several threads and written in order.

use std::io::{self, Write};
use std::thread::available_parallelism;

use crate::ordered::Ordered;

/// More of them would take memory rather than time.
const MOST_THREADS: usize = 8;

/// A piece on its way through a thread; its buffers are used again.
#[derive(Default)]
pub(crate) struct Piece {
    pub(crate) content: Vec<u8>,
    pub(crate) compressed: Vec<u8>,
    pub(crate) failure: Option<io::Error>,
}

/// Cuts what is written to it into pieces of a size, the last one may be smaller.
pub(crate) struct Pieces<W> {
    writer: W,
    size: usize,
    content: Vec<u8>,
    work: Ordered<Piece, Piece>,
    /// Buffers of pieces that were written.
    spare: Vec<Piece>,
    /// Nothing was written: even then there has to be a piece.
    is_empty: bool,
}

/// As many threads as there are cores.
pub(crate) fn threads() -> usize {
    available_parallelism().map_or(1, usize::from).min(MOST_THREADS)
}

impl<W: Write> Pieces<W> {
    /// `make` gives each thread what compresses a piece.
    pub(crate) fn new<C: FnMut(&mut Piece) + Send + 'static>(
        writer: W,
        size: usize,
        threads: usize,
        make: impl Fn() -> C,
    ) -> Self {
        let work = Ordered::new(threads, || {
            let mut compress = make();
            move |mut piece: Piece| {
                compress(&mut piece);
                piece
            }
        });
        Self { writer, size, content: Vec::with_capacity(size), work, spare: Vec::new(), is_empty: true }
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        if self.is_empty || !self.content.is_empty() {
            self.piece()?;
        }
        while !self.work.is_empty() {
            self.put()?;
        }
        Ok(self.writer)
    }

    fn piece(&mut self) -> io::Result<()> {
        let mut piece = self.spare.pop().unwrap_or_default();
        std::mem::swap(&mut piece.content, &mut self.content);
        self.content.clear();
        self.content.reserve_exact(self.size);
        self.work.push(piece);
        self.is_empty = false;
        while self.work.is_full() {
            self.put()?;
        }
        Ok(())
    }

    fn put(&mut self) -> io::Result<()> {
        let mut piece = self.work.pop().ok_or_else(|| io::Error::other("a thread that compresses has died"))?;
        if let Some(failure) = piece.failure.take() {
            return Err(failure);
        }
        self.writer.write_all(&piece.compressed)?;
        self.spare.push(piece);
        Ok(())
    }
}

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.size - self.content.len());
        self.content.extend_from_slice(&bytes[..count]);
        if self.content.len() == self.size {
            self.piece()?;
        }
        Ok(count)
    }

    /// Does nothing: only a whole piece can be written.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
