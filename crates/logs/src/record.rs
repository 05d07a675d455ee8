//! One entry of a log as every driver but `json-file` sees it: text without its newline, and its place in a line
//! that is too long for one entry.

use crate::query::Stream;
use crate::splitter::Splitter;
use crate::timestamp::Timestamp;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) stream: Stream,
    pub(crate) time: Timestamp,
    /// Without the newline.
    pub(crate) text: &'a [u8],
    /// Where it is in a line of several pieces.
    pub(crate) partial: Option<Partial<'a>>,
}

/// Docker's `PLogMetaData`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partial<'a> {
    /// 64 hexadecimal digits, the same in all pieces.
    pub(crate) id: &'a str,
    /// From 1.
    pub(crate) ordinal: u64,
    pub(crate) last: bool,
}

/// Makes records of what two streams bring.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    splitter: Splitter,
    /// The line in pieces that each stream is in: its id and the number of its last piece.
    running: [Option<(String, u64)>; 2],
    last_time: Timestamp,
}

// === impl Recorder ===

impl Recorder {
    /// Calls `take` with every record that `bytes` complete. The time never goes backwards.
    pub(crate) fn append(&mut self, stream: Stream, bytes: &[u8], now: Timestamp, mut take: impl FnMut(Record<'_>)) {
        self.last_time = self.last_time.max(now);
        let (time, running) = (self.last_time, &mut self.running[stream.index()]);
        self.splitter.append(stream, bytes, |piece| record(running, stream, time, piece, &mut take));
    }

    /// The stream has ended: what is held is a record too.
    pub(crate) fn finish(&mut self, stream: Stream, now: Timestamp, mut take: impl FnMut(Record<'_>)) {
        if let Some(held) = self.splitter.finish(stream) {
            self.last_time = self.last_time.max(now);
            record(&mut self.running[stream.index()], stream, self.last_time, &held, &mut take);
        }
    }

    /// Gives back memory that nothing uses at the moment.
    pub(crate) fn release(&mut self) {
        self.splitter.release();
    }
}

fn record(
    running: &mut Option<(String, u64)>,
    stream: Stream,
    time: Timestamp,
    piece: &[u8],
    take: &mut impl FnMut(Record<'_>),
) {
    match piece.strip_suffix(b"\n") {
        Some(text) => match running.take() {
            None => take(Record { stream, time, text, partial: None }),
            Some((id, ordinal)) => {
                let partial = Some(Partial { id: &id, ordinal: ordinal + 1, last: true });
                take(Record { stream, time, text, partial });
            }
        },
        None => {
            let (id, ordinal) = running.get_or_insert_with(|| (random_id(), 0));
            *ordinal += 1;
            take(Record { stream, time, text: piece, partial: Some(Partial { id, ordinal: *ordinal, last: false }) });
        }
    }
}

/// 64 hexadecimal digits. Without randomness (a kernel just booted) they are zeros: the id only helps to find pieces.
fn random_id() -> String {
    let mut bytes = [0; 32];
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_numbered_pieces() {
        let mut recorder = Recorder::default();
        let mut seen = Vec::new();
        let mut take = |record: Record<'_>| {
            seen.push((record.text.len(), record.partial.map(|partial| (partial.ordinal, partial.last))));
        };
        let mut text = vec![b'x'; 40_000];
        text.extend_from_slice(b"\nshort\n\nend");
        recorder.append(Stream::Stdout, &text, Timestamp(1), &mut take);
        recorder.finish(Stream::Stdout, Timestamp(1), &mut take);
        let pieces = [(16384, Some((1, false))), (16384, Some((2, false))), (7232, Some((3, true)))];
        assert_eq!(seen[..3], pieces);
        assert_eq!(seen[3..], [(5, None), (0, None), (3, Some((1, false)))]);
    }
}
