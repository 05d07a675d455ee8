//! Layers on their way into files, and readers that follow them while they grow.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use types::Digest;

use crate::failure::reason;
use crate::fetch::finish;
use crate::manifest::Descriptor;
use crate::registry::Registry;
use crate::{Error, Progress};

/// Written and hashed at once, off the async threads.
const PIECE: usize = 256 * 1024;
/// Between two progress events of one layer.
const INTERVAL: Duration = Duration::from_millis(100);

/// A file that one side writes and another one reads.
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
    file: File,
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
    /// Makes the empty file.
    pub(crate) fn create(path: PathBuf) -> Result<(Self, Writer), Error> {
        let file = File::create(&path).map_err(|source| Error::write(&path, source))?;
        let state = State { written: 0, end: End::Open };
        let growing = Self { path, shared: Arc::new((Mutex::new(state), Condvar::new())) };
        let sink = Sink { file, context: Context::new(&SHA256), buffer: Vec::with_capacity(2 * PIECE) };
        Ok((growing.clone(), Writer { growing, sink: Some(sink) }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn follow(&self) -> io::Result<Follower> {
        Ok(Follower { growing: self.clone(), file: File::open(&self.path)?, position: 0 })
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
        let length = buffer.len().min(usize::try_from(available).unwrap_or(usize::MAX));
        let count = self.file.read(&mut buffer[..length])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Writer {
    /// Downloads the blob into the file, again from where it broke up to `attempts` times.
    pub(crate) async fn download(
        mut self,
        registry: &Registry,
        descriptor: &Descriptor,
        attempts: u32,
        progress: &(impl Fn(Progress) + Sync),
    ) {
        let result = self.fetch(registry, descriptor, attempts, progress).await;
        let end = match result {
            Ok(()) => End::Complete,
            Err(error) => End::Failed(Some(error)),
        };
        self.growing.update(|state| state.end = end);
    }

    async fn fetch(
        &mut self,
        registry: &Registry,
        descriptor: &Descriptor,
        attempts: u32,
        progress: &(impl Fn(Progress) + Sync),
    ) -> Result<(), Error> {
        let layer = descriptor.digest.short();
        let mut received = 0;
        let mut failures = 0;
        while let Err(failure) = self.receive(registry, descriptor, &mut received, progress).await {
            failures += 1;
            let Failure::Transient(reason) = failure else { return Err(failure.error(descriptor.digest)) };
            if failures >= attempts {
                return Err(Error::Download { digest: descriptor.digest, reason });
            }
            tracing::info!(blob = %descriptor.digest, reason, "trying again");
            tokio::time::sleep(Duration::from_secs(u64::from(failures))).await;
        }
        progress(Progress::VerifyingChecksum { layer: layer.clone() });
        self.flush().await?;
        let digest = self.sink.take().map(|sink| finish(sink.context));
        if digest != Some(descriptor.digest) {
            return Err(Error::Verification(descriptor.digest));
        }
        progress(Progress::DownloadComplete { layer });
        Ok(())
    }

    /// One connection. `received` counts over all of them.
    async fn receive(
        &mut self,
        registry: &Registry,
        descriptor: &Descriptor,
        received: &mut u64,
        progress: &(impl Fn(Progress) + Sync),
    ) -> Result<(), Failure> {
        let mut response = match registry.blob(&descriptor.digest, *received).await {
            Ok(response) => response,
            Err(Error::Connect { reason, .. } | Error::Status(reason)) => return Err(Failure::Transient(reason)),
            Err(error) => return Err(Failure::Final(error)),
        };
        // A server that ignores the range sends everything again.
        let partial = response.status() == reqwest::StatusCode::PARTIAL_CONTENT;
        let mut skip = if partial { 0 } else { *received };
        let url = response.url().to_string();
        let mut last = Instant::now();
        while let Some(chunk) = response.chunk().await.map_err(|error| Failure::Transient(reason(&url, &error)))? {
            let skipped = skip.min(chunk.len() as u64);
            skip -= skipped;
            let fresh = &chunk[usize::try_from(skipped).unwrap_or(chunk.len())..];
            *received += fresh.len() as u64;
            if descriptor.size > 0 && *received > descriptor.size {
                return Err(Failure::Final(Error::Verification(descriptor.digest)));
            }
            self.push(fresh).await.map_err(Failure::Final)?;
            if last.elapsed() >= INTERVAL {
                last = Instant::now();
                let layer = descriptor.digest.short();
                progress(Progress::Downloading { layer, current: *received, total: descriptor.size });
            }
        }
        if descriptor.size > 0 && *received < descriptor.size {
            return Err(Failure::Transient("unexpected EOF".to_owned()));
        }
        Ok(())
    }

    async fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(sink) = &mut self.sink else { return Err(Error::Canceled) };
        sink.buffer.extend_from_slice(bytes);
        if sink.buffer.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let Some(mut sink) = self.sink.take() else { return Err(Error::Canceled) };
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

/// Whether another attempt makes sense.
enum Failure {
    Transient(String),
    Final(Error),
}

impl Failure {
    fn error(self, digest: Digest) -> Error {
        match self {
            Self::Transient(reason) => Error::Download { digest, reason },
            Self::Final(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_reads_to_the_end_and_sees_a_writer_go() {
        let directory = tempfile::tempdir().expect("directory");
        let (growing, mut writer) = Growing::create(directory.path().join("1")).expect("create");
        let reading = growing.clone();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            reading.follow().expect("open").read_to_string(&mut text).map(|_| text)
        });
        let sink = writer.sink.as_mut().expect("open");
        sink.file.write_all(b"abc").expect("write");
        growing.update(|state| state.written = 3);
        growing.update(|state| state.end = End::Complete);
        assert_eq!(reader.join().expect("thread").expect("read"), "abc");

        let (growing, writer) = Growing::create(directory.path().join("2")).expect("create");
        drop(writer);
        assert!(growing.follow().expect("open").read(&mut [0; 8]).is_err());
        assert!(matches!(growing.take_failure(), Some(Error::Canceled)));
    }
}
