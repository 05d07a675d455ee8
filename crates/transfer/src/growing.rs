//! Files that one side writes and another one reads meanwhile.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use types::Digest;

use crate::Error;
use crate::fetch::finish;

/// Written and hashed at once, off the async threads.
const PIECE: usize = 256 * 1024;

/// A file that grows.
#[derive(Clone)]
pub(crate) struct Growing {
    path: PathBuf,
    shared: Arc<(Mutex<State>, Condvar)>,
}

struct State {
    written: u64,
    end: End,
}

enum End {
    Open,
    Complete,
    Failed(Option<Error>),
}

/// Reads a [`Growing`] file from the start to its end, waiting for what is not there yet.
pub(crate) struct Follower {
    growing: Growing,
    file: Option<File>,
    position: u64,
}

/// The writing side; gone without an end means given up.
pub(crate) struct Writer {
    growing: Growing,
    sink: Option<Sink>,
}

struct Sink {
    file: File,
    context: Context,
    buffer: Vec<u8>,
}

impl Growing {
    /// A file that the writer will make.
    pub(crate) fn new(path: PathBuf) -> (Self, Writer) {
        let state = State { written: 0, end: End::Open };
        let growing = Self { path, shared: Arc::new((Mutex::new(state), Condvar::new())) };
        (growing.clone(), Writer { growing, sink: None })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn follow(&self) -> Follower {
        Follower { growing: self.clone(), file: None, position: 0 }
    }

    /// Waits for the first bytes, or for the end.
    pub(crate) fn await_begin(&self) {
        let mut state = self.lock();
        while state.written == 0 && matches!(state.end, End::Open) {
            state = self.shared.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Why the writer failed, once.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        match &mut self.lock().end {
            End::Failed(error) => error.take(),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.shared.1.notify_all();
    }
}

impl Read for Follower {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = {
            let mut state = self.growing.lock();
            loop {
                if state.written > self.position {
                    break state.written - self.position;
                }
                match state.end {
                    End::Complete => return Ok(0),
                    End::Failed(_) => return Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
                    End::Open => {}
                }
                state = self.growing.shared.1.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.growing.path)?),
        };
        let length = buffer.len().min(usize::try_from(available).unwrap_or(usize::MAX));
        let count = file.read(&mut buffer[..length])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Writer {
    /// Where the file has to be.
    pub(crate) fn path(&self) -> &Path {
        &self.growing.path
    }

    /// Takes the file, opened to be read from its start and written at its end; gives the bytes that are in it.
    pub(crate) async fn begin(&mut self, mut file: File) -> Result<u64, Error> {
        let growing = self.growing.clone();
        let work = move || {
            let mut context = Context::new(&SHA256);
            let mut buffer = vec![0; PIECE];
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    count => {
                        context.update(&buffer[..count]);
                        growing.update(|state| state.written += count as u64);
                    }
                }
            }
            buffer.clear();
            buffer.reserve(2 * PIECE);
            Ok(Sink { file, context, buffer })
        };
        let sink: io::Result<Sink> = tokio::task::spawn_blocking(work).await.map_err(|_| Error::Canceled)?;
        self.sink = Some(sink.map_err(|source| Error::Read { path: self.growing.path.clone(), source })?);
        Ok(self.growing.lock().written)
    }

    /// The digest of what has been written.
    pub(crate) async fn digest(&mut self) -> Result<Digest, Error> {
        self.flush().await?;
        self.sink.as_ref().map(|sink| finish(sink.context.clone())).ok_or(Error::Canceled)
    }

    /// Tells the readers how it ended.
    pub(crate) fn end(self, result: Result<(), Error>) {
        let end = match result {
            Ok(()) => End::Complete,
            Err(error) => End::Failed(Some(error)),
        };
        self.growing.update(|state| state.end = end);
    }

    /// Adds bytes.
    pub(crate) async fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(sink) = &mut self.sink else { return Err(Error::Canceled) };
        sink.buffer.extend_from_slice(bytes);
        if sink.buffer.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    /// Puts what was added into the file.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        let Some(mut sink) = self.sink.take() else { return Err(Error::Canceled) };
        if sink.buffer.is_empty() {
            self.sink = Some(sink);
            return Ok(());
        }
        let work = move || {
            sink.context.update(&sink.buffer);
            let written = sink.file.write_all(&sink.buffer).map(|()| sink.buffer.len() as u64);
            sink.buffer.clear();
            (sink, written)
        };
        let (sink, written) = tokio::task::spawn_blocking(work).await.map_err(|_| Error::Canceled)?;
        self.sink = Some(sink);
        let written = written.map_err(|source| Error::write(&self.growing.path, source))?;
        self.growing.update(|state| state.written += written);
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.growing.update(|state| {
            if matches!(state.end, End::Open) {
                state.end = End::Failed(Some(Error::Canceled));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::sha256;

    #[tokio::test]
    async fn a_follower_reads_to_the_end_and_sees_a_writer_go() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("1");
        std::fs::write(&path, b"be").expect("write");
        let (growing, mut writer) = Growing::new(path.clone());
        let reading = growing.clone();
        let reader = std::thread::spawn(move || {
            reading.await_begin();
            let mut text = String::new();
            reading.follow().read_to_string(&mut text).map(|_| text)
        });
        let file = File::options().read(true).append(true).open(&path).expect("open");
        assert_eq!(writer.begin(file).await.expect("begin"), 2);
        writer.push(b"gun").await.expect("push");
        assert_eq!(writer.digest().await.expect("digest"), sha256(b"begun"));
        writer.end(Ok(()));
        assert_eq!(reader.join().expect("thread").expect("read"), "begun");

        let (growing, writer) = Growing::new(directory.path().join("2"));
        drop(writer);
        growing.await_begin();
        assert!(growing.follow().read(&mut [0; 8]).is_err());
        assert!(matches!(growing.take_failure(), Some(Error::Canceled)));
    }
}
