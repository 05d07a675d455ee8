//! Two threads for one stream: the caller reads, verifies and undoes compression, another one uses what comes out.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use crate::{Error, Result};

/// Bytes that change hands at once.
const PIECE: usize = 256 << 10;
/// Pieces under way: enough that neither side waits for the other one's every step.
const IN_FLIGHT: usize = 4;

type Piece = io::Result<Vec<u8>>;

/// Gives everything that `source` has to `consume`, which runs on a thread of its own unless the source is short. A
/// failure to read is the consumer's: it sees it where it happened. When the consumer stops early, so does the reading.
pub(super) fn piped<T: Send>(
    source: &mut dyn Read,
    consume: impl FnOnce(&mut dyn Read) -> Result<T> + Send,
) -> Result<T> {
    let first = fill(source, Vec::with_capacity(PIECE));
    if !matches!(&first, Ok(piece) if piece.len() == PIECE) {
        return consume(&mut Pieces::only(first));
    }
    let (sender, receiver) = sync_channel(IN_FLIGHT);
    let (give_back, used) = channel();
    std::thread::scope(|scope| {
        let mut pieces = Pieces { next: Some(receiver), current: io::Cursor::default(), used: Some(give_back) };
        let work = move || consume(&mut pieces);
        let consumer = std::thread::Builder::new().name("unpack".to_owned()).spawn_scoped(scope, work);
        let consumer = consumer.map_err(Error::Stream)?;
        feed(source, first, &sender, &used);
        drop(sender);
        consumer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn feed(source: &mut dyn Read, first: Piece, sender: &SyncSender<Piece>, used: &Receiver<Vec<u8>>) {
    let mut piece = first;
    loop {
        let is_last = !matches!(&piece, Ok(piece) if piece.len() == PIECE);
        if sender.send(piece).is_err() || is_last {
            return;
        }
        let mut buffer = used.try_recv().unwrap_or_else(|_| Vec::with_capacity(PIECE));
        buffer.clear();
        piece = fill(source, buffer);
    }
}

/// Reads a whole piece; a shorter one is the last.
fn fill(source: &mut dyn Read, mut buffer: Vec<u8>) -> Piece {
    source.take(PIECE as u64).read_to_end(&mut buffer)?;
    Ok(buffer)
}

/// The consumer's end.
struct Pieces {
    /// `None` behind the last piece.
    next: Option<Receiver<Piece>>,
    current: io::Cursor<Vec<u8>>,
    /// Where empty buffers go.
    used: Option<Sender<Vec<u8>>>,
}

impl Pieces {
    fn only(piece: Piece) -> Self {
        let (sender, receiver) = sync_channel(1);
        // There is room for one.
        let _ = sender.send(piece);
        Self { next: Some(receiver), current: io::Cursor::default(), used: None }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(Ok(piece)) = self.next.as_ref().map(Receiver::recv) else {
                self.next = None;
                return Ok(0);
            };
            let empty = std::mem::replace(&mut self.current, io::Cursor::new(piece?));
            if let Some(used) = &self.used {
                // Nobody reads any more.
                let _ = used.send(empty.into_inner());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(length: usize) -> Vec<u8> {
        let bytes: Vec<u8> = (0..length).map(|number| (number % 251) as u8).collect();
        let out = piped(&mut &bytes[..], |reader| {
            let mut out = Vec::new();
            reader.read_to_end(&mut out).map_err(Error::Stream).map(|_| out)
        });
        assert!(out.as_ref().is_ok_and(|out| *out == bytes), "{length}");
        out.unwrap_or_default()
    }

    #[test]
    fn everything_arrives_in_order() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 10 * PIECE, 10 * PIECE + 7] {
            assert_eq!(through(length).len(), length);
        }
    }

    #[test]
    fn failures_are_seen_where_they_happen_and_a_consumer_may_stop() {
        for length in [10, 3 * PIECE] {
            let good = vec![1; length];
            let mut bad = io::Cursor::new(good).chain(Broken);
            let result = piped(&mut bad, |reader| {
                let mut out = Vec::new();
                let error = reader.read_to_end(&mut out).expect_err("broken");
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                Ok(out.len())
            });
            // The piece in which it broke is lost.
            assert!(result.is_ok_and(|count| count <= length && count + PIECE >= length));
        }
        let stopped = piped(&mut io::repeat(0), |reader| {
            reader.read_exact(&mut [0; 10]).map_err(Error::Stream)?;
            Err::<(), _>(Error::MaxDepth)
        });
        assert!(matches!(stopped, Err(Error::MaxDepth)));
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
}
