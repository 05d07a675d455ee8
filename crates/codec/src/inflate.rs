//! Undoing gzip.

use std::io::{self, BufRead, Cursor, Read};
use std::thread::available_parallelism;

use flate2::bufread::MultiGzDecoder;
use libdeflater::Decompressor;

use crate::member::{HEADER, content_length, inflate, length};
use crate::ordered::Ordered;

/// More of them than a consumer can follow are of no use.
const MOST_THREADS: usize = 4;

/// Bytes of the stream that were read already, and the rest of it.
type Rest<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// A member on its way through a thread, with buffers that are used again: to make one takes the kernel as long as to
/// undo a quarter of it.
struct Piece {
    member: Vec<u8>,
    length: usize,
    content: Vec<u8>,
    result: io::Result<()>,
}

/// Reads gzip: members that say how long they are side by side and each in one go, everything else as a stream.
pub(crate) struct Gzip<R> {
    source: Source<R>,
    members: Ordered<Piece, Piece>,
    /// What was undone and not read yet.
    content: Cursor<Vec<u8>>,
    /// Buffers of members that were read.
    spare: Vec<Vec<u8>>,
    begun: bool,
}

enum Source<R> {
    Members(R),
    /// From here on it is a stream; what came before is read first.
    Stream(Box<MultiGzDecoder<Rest<R>>>),
    Ended,
}

impl<R: BufRead> Gzip<R> {
    pub(crate) fn new(reader: R) -> Self {
        // Whoever reads this has work of his own.
        let threads = (available_parallelism().map_or(1, usize::from) / 2).min(MOST_THREADS);
        let members = Ordered::new(threads, || {
            let mut decompressor = Decompressor::new();
            move |mut piece: Piece| {
                piece.result = inflate(&mut decompressor, &piece.member, piece.length, &mut piece.content);
                piece
            }
        });
        Self { source: Source::Members(reader), members, content: Cursor::default(), spare: Vec::new(), begun: false }
    }

    /// Takes the next members in, as many as can be worked on.
    fn take(&mut self) -> io::Result<()> {
        while !self.members.is_full() {
            match std::mem::replace(&mut self.source, Source::Ended) {
                Source::Members(reader) => self.source = self.member(reader)?,
                other => {
                    self.source = other;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn buffer(&mut self) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// Takes the next member in; gives what follows it.
    fn member(&mut self, mut reader: R) -> io::Result<Source<R>> {
        let mut member = self.buffer();
        (&mut reader).take(HEADER as u64).read_to_end(&mut member)?;
        if member.is_empty() && self.begun {
            return Ok(Source::Ended);
        }
        self.begun = true;
        if let Some(length) = length(&member) {
            member.reserve_exact(length - HEADER);
            (&mut reader).take((length - HEADER) as u64).read_to_end(&mut member)?;
            if member.len() == length
                && let Some(length) = content_length(&member)
            {
                let piece = Piece { member, length, content: self.buffer(), result: Ok(()) };
                self.members.push(piece);
                return Ok(Source::Members(reader));
            }
        }
        Ok(Source::Stream(Box::new(MultiGzDecoder::new(Cursor::new(member).chain(reader)))))
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.content.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            self.take()?;
            if !self.members.is_empty() {
                let piece = self.members.pop();
                let piece = piece.ok_or_else(|| io::Error::other("a thread that decompresses has died"))?;
                piece.result?;
                let read = std::mem::replace(&mut self.content, Cursor::new(piece.content));
                self.spare.extend([piece.member, read.into_inner()]);
                continue;
            }
            match &mut self.source {
                Source::Members(_) => {}
                Source::Stream(stream) => return stream.read(buffer),
                Source::Ended => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::GzipWriter;

    fn plain(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Gzip::new(bytes).read_to_end(&mut plain).map(|_| plain)
    }

    fn stream(content: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(content).and_then(|()| gzip.finish()).expect("compress")
    }

    fn members(content: &[u8]) -> Vec<u8> {
        let mut gzip = GzipWriter::new(Vec::new());
        gzip.write_all(content).and_then(|()| gzip.finish()).expect("compress")
    }

    #[test]
    fn members_and_streams_may_follow_one_another() {
        let text = b"layer ".repeat(300_000);
        let all = [members(&text), stream(&text), members(b""), members(&text)].concat();
        assert!(plain(&all).expect("gzip") == text.repeat(3));
        assert!(plain(&[members(b""), members(b"")].concat()).expect("gzip").is_empty());
    }

    #[test]
    fn what_is_cut_or_changed_is_an_error() {
        let text = b"layer ".repeat(300_000);
        let whole = members(&text);
        for cut in [whole.len() - 1, whole.len() - 9, 30, 19, 1] {
            assert!(plain(&whole[..cut]).is_err(), "{cut}");
        }
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 0x55;
        assert!(plain(&changed).is_err());
        let mut longer = whole;
        longer.extend(b"garbage behind the archive");
        assert!(plain(&longer).is_err());
    }
}
