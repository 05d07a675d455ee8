//! Layers on their way out: a file's bytes as a stream, compressed when they are not.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use codec::GzipWriter;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use types::Digest;

use crate::Error;
use crate::fetch::finish;

/// Bytes of a piece of an upload.
const PIECE: usize = 256 * 1024;
/// Pieces in flight.
const IN_FLIGHT: usize = 4;
/// Between two progress events of one layer.
const INTERVAL: Duration = Duration::from_millis(100);

/// How layers that were built here are compressed on their way out; pulled ones go as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// What every engine reads.
    #[default]
    Gzip,
    /// Smaller and faster; needs readers of OCI images.
    Zstd,
}

/// A middle between speed and size (zstd's own default).
const ZSTD_LEVEL: i32 = 3;

/// What a layer is sent as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// The bytes of the file, which has this digest.
    AsKept(Digest),
    /// Compressed on the way.
    Compressed(Compression),
}

/// What came out of a file.
pub(crate) struct Sent {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Pieces, and what they amount to in the end.
pub(crate) type Outgoing = (mpsc::Receiver<io::Result<Bytes>>, JoinHandle<Result<Sent, Error>>);

/// Reads a file on a thread of its own. What comes out is the same each time: the first `skip` bytes, which the other
/// side has already, are only counted. `progress` is told how many of the file's bytes have been read.
pub(crate) fn outgoing(path: PathBuf, form: Form, skip: u64, progress: impl Fn(u64) + Send + 'static) -> Outgoing {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    let work = tokio::task::spawn_blocking(move || {
        let sink = Sink {
            sender: sender.clone(),
            buffer: Vec::with_capacity(PIECE),
            context: matches!(form, Form::Compressed(_)).then(|| Context::new(&SHA256)),
            size: 0,
            skip,
        };
        let result = copy(&path, form, sink, &progress);
        if let Err(error) = &result {
            // Ends the request: a body that ends early must not look whole.
            let _ = sender.blocking_send(Err(io::Error::other(error.to_string())));
        }
        result
    });
    (receiver, work)
}

fn copy(path: &Path, form: Form, mut sink: Sink, progress: &dyn Fn(u64)) -> Result<Sent, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    let mut reader = BufReader::with_capacity(PIECE, Reporting { inner: file, current: 0, last: None, progress });
    let mut sink = match form {
        Form::Compressed(Compression::Gzip) => {
            let mut encoder = GzipWriter::new(sink);
            io::copy(&mut reader, &mut encoder).and_then(|_| encoder.finish()).map_err(read)?
        }
        Form::Compressed(Compression::Zstd) => {
            let mut encoder = zstd::stream::write::Encoder::new(sink, ZSTD_LEVEL).map_err(read)?;
            io::copy(&mut reader, &mut encoder).and_then(|_| encoder.finish()).map_err(read)?
        }
        Form::AsKept(_) => {
            io::copy(&mut reader, &mut sink).map_err(read)?;
            sink
        }
    };
    sink.flush().map_err(read)?;
    let digest = match (sink.context, form) {
        (Some(context), _) => finish(context),
        (None, Form::AsKept(digest)) => digest,
        (None, Form::Compressed(_)) => return Err(Error::Canceled),
    };
    Ok(Sent { digest, size: sink.size })
}

/// Collects pieces for an asynchronous receiver, and their digest.
struct Sink {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
    /// `None` when the digest is known.
    context: Option<Context>,
    size: u64,
    /// Bytes that are not sent.
    skip: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        if let Some(context) = &mut self.context {
            context.update(&piece);
        }
        self.size += piece.len() as u64;
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
        self.skip -= skipped as u64;
        let rest = Bytes::from(piece).slice(skipped..);
        if rest.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(Ok(rest)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

struct Reporting<'a> {
    inner: File,
    current: u64,
    last: Option<Instant>,
    progress: &'a dyn Fn(u64),
}

impl Read for Reporting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.current += count as u64;
        if count > 0 && self.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            self.last = Some(Instant::now());
            (self.progress)(self.current);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::sha256;

    #[tokio::test]
    async fn what_is_sent_is_what_is_counted() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("layer");
        let text = b"layer ".repeat(100_000);
        std::fs::write(&path, &text).expect("write");
        let (gzip, zstd) = (Form::Compressed(Compression::Gzip), Form::Compressed(Compression::Zstd));
        let kept = Form::AsKept(sha256(&text));
        for (form, skip) in [(kept, 0), (gzip, 0), (zstd, 0), (kept, 300_000), (gzip, 500), (zstd, 10)] {
            let (mut pieces, work) = outgoing(path.clone(), form, skip, |_| {});
            let mut bytes = Vec::new();
            while let Some(piece) = pieces.recv().await {
                bytes.extend_from_slice(&piece.expect("piece"));
            }
            let sent = work.await.expect("thread").expect("read");
            if skip > 0 {
                assert_eq!(sent.size, bytes.len() as u64 + skip);
                continue;
            }
            assert_eq!((sent.digest, sent.size), (sha256(&bytes), bytes.len() as u64));
            let mut plain = Vec::new();
            match form {
                Form::Compressed(Compression::Zstd) => plain = zstd::decode_all(&bytes[..]).expect("zstd"),
                Form::Compressed(Compression::Gzip) => {
                    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).map(drop).expect("gzip");
                }
                Form::AsKept(_) => plain.clone_from(&bytes),
            }
            assert!(plain == text);
        }
        let (mut pieces, work) = outgoing(directory.path().join("none"), kept, 0, |_| {});
        assert!(pieces.recv().await.is_some_and(|piece| piece.is_err()));
        assert!(work.await.expect("thread").is_err());
    }
}
