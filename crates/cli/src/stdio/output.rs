//! Writing a container's output to ours.

use std::io::{self, Write};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::Failure;

/// One of our two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// stdout
    Out,
    /// stderr
    Err,
}

/// Chunks that may wait for a slow reader of ours.
const QUEUE: usize = 32;

/// A thread that writes, so that a slow reader of our output does not stop input and signals.
pub struct Writer {
    queue: mpsc::Sender<(Stream, Bytes)>,
    done: oneshot::Receiver<Result<(), Failure>>,
}

/// Writes all bytes at once, blocking.
///
/// # Errors
/// The system's, `BrokenPipe` when the reader went away.
pub fn write(stream: Stream, bytes: &[u8]) -> io::Result<()> {
    match stream {
        Stream::Out => {
            // The lock's line buffer would write every line by itself: give it whole chunks only.
            let mut out = io::stdout().lock();
            out.flush()?;
            rustix_write(rustix::stdio::stdout(), bytes)
        }
        Stream::Err => rustix_write(rustix::stdio::stderr(), bytes),
    }
}

impl Writer {
    /// Starts the thread.
    #[must_use]
    pub fn start() -> Self {
        let (queue, mut chunks) = mpsc::channel::<(Stream, Bytes)>(QUEUE);
        let (finished, done) = oneshot::channel();
        std::thread::spawn(move || {
            let mut result = Ok(());
            while let Some((stream, bytes)) = chunks.blocking_recv() {
                result = write(stream, &bytes).map_err(|error| broken(stream, &error));
                if result.is_err() {
                    break;
                }
            }
            // The session may have ended without waiting for us.
            let _ = finished.send(result);
        });
        Self { queue, done }
    }

    /// Hands a chunk over; false when the thread has stopped because nobody reads us.
    pub async fn send(&self, stream: Stream, bytes: Bytes) -> bool {
        self.queue.send((stream, bytes)).await.is_ok()
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// When our own output could not be written, with Go's words.
    pub async fn finish(self) -> Result<(), Failure> {
        drop(self.queue);
        self.done.await.unwrap_or(Ok(()))
    }
}

fn broken(stream: Stream, error: &io::Error) -> Failure {
    let name = if stream == Stream::Out { "stdout" } else { "stderr" };
    let reason = match error.kind() {
        io::ErrorKind::BrokenPipe => "broken pipe".to_owned(),
        _ => error.to_string(),
    };
    Failure::Invalid(format!("write /dev/{name}: {reason}"))
}

fn rustix_write(fd: impl std::os::fd::AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                // Someone made our output non-blocking: wait until it takes more.
                let mut poll = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::OUT)];
                rustix::event::poll(&mut poll, None)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
