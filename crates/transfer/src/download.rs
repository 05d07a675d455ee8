//! Layers on their way into files: from where the last download broke, again when the connection breaks.

use std::time::{Duration, Instant};

use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};
use store::{Partial, Store};

use crate::failure::connect_error;
use crate::growing::Writer;
use crate::manifest::Descriptor;
use crate::registry::Registry;
use crate::retry::Attempts;
use crate::{Error, Progress};

/// Between two progress events of one layer.
const INTERVAL: Duration = Duration::from_millis(100);
/// Between two looks at a blob that another pull downloads.
const PATIENCE: Duration = Duration::from_millis(200);
/// A connection that brought so much was a good one.
const WORTH: u64 = 1 << 20;
/// A blob whose size nobody told is not larger than this.
const MOST: u64 = 64 << 30;

/// Where blobs come from and go to.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    /// How often a broken transfer is tried.
    pub(crate) attempts: u32,
}

impl Writer {
    /// Downloads the blob into the file and says how it ended. What another pull downloads is awaited, and shared.
    pub(crate) async fn download(
        mut self,
        source: &Source,
        descriptor: &Descriptor,
        progress: &(impl Fn(Progress) + Sync),
    ) {
        let partial = source.take(descriptor, progress).await;
        let result = self.fetch(source, &partial, descriptor, progress).await;
        if matches!(result, Err(Error::Verification(_) | Error::NoSpace(_))) {
            partial.discard();
        }
        // The next one may have it before the readers know.
        drop(partial);
        self.end(result);
    }

    async fn fetch(
        &mut self,
        source: &Source,
        partial: &Partial,
        descriptor: &Descriptor,
        progress: &(impl Fn(Progress) + Sync),
    ) -> Result<(), Error> {
        let layer = descriptor.digest.short();
        if descriptor.size > 0 && source.store.partial_size(&descriptor.digest) > descriptor.size {
            partial.discard();
        }
        let mut received = self.begin(partial.open(self.path())?).await?;
        let complete = match descriptor.size {
            0 => received > 0 && self.digest().await? == descriptor.digest,
            size => received == size,
        };
        if !complete {
            self.receive_all(source, descriptor, &mut received, progress).await?;
        }
        progress(Progress::VerifyingChecksum { layer: layer.clone() });
        if self.digest().await? != descriptor.digest {
            return Err(Error::Verification(descriptor.digest));
        }
        progress(Progress::DownloadComplete { layer });
        Ok(())
    }

    /// As many connections as it takes.
    async fn receive_all(
        &mut self,
        source: &Source,
        descriptor: &Descriptor,
        received: &mut u64,
        progress: &(impl Fn(Progress) + Sync),
    ) -> Result<(), Error> {
        let mut attempts = Attempts::new(source.attempts);
        loop {
            let before = *received;
            let Err(error) = self.receive(source, descriptor, received, progress).await else { return Ok(()) };
            // What came is in the file before anybody gives up.
            self.flush().await?;
            // A connection that brought something is no failure of the registry.
            if *received - before >= WORTH {
                attempts.forgive();
            }
            attempts.again(error).await.map_err(|error| error.of_download(descriptor))?;
        }
    }

    /// One connection. `received` counts over all of them.
    async fn receive(
        &mut self,
        source: &Source,
        descriptor: &Descriptor,
        received: &mut u64,
        progress: &(impl Fn(Progress) + Sync),
    ) -> Result<(), Error> {
        let mut response = source.registry.layer(descriptor, *received).await?;
        let mut skip = to_skip(&response, *received)?;
        let url = response.url().to_string();
        let limit = if descriptor.size > 0 { descriptor.size } else { MOST };
        let mut last = Instant::now();
        while let Some(chunk) = response.chunk().await.map_err(|error| connect_error(&url, &error))? {
            let skipped = skip.min(chunk.len() as u64);
            skip -= skipped;
            let fresh = &chunk[usize::try_from(skipped).unwrap_or(chunk.len())..];
            *received += fresh.len() as u64;
            if *received > limit {
                return Err(Error::Verification(descriptor.digest));
            }
            self.push(fresh).await?;
            if last.elapsed() >= INTERVAL {
                last = Instant::now();
                let layer = descriptor.digest.short();
                progress(Progress::Downloading { layer, current: *received, total: descriptor.size });
            }
        }
        if *received < descriptor.size {
            return Err(Error::Connect { url, reason: "unexpected EOF".to_owned() });
        }
        Ok(())
    }
}

/// Bytes of an answer that are here already: a server that ignores the range sends everything again.
fn to_skip(response: &Response, received: u64) -> Result<u64, Error> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Ok(received);
    }
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let start: Option<u64> =
        range.strip_prefix("bytes ").and_then(|range| range.split('-').next()?.trim().parse().ok());
    match start {
        Some(start) if start != received => Err(Error::Answer {
            url: response.url().to_string(),
            reason: format!("asked for the bytes from {received} on, it sent those from {start} on"),
        }),
        // Some leave the header out.
        _ => Ok(0),
    }
}

impl Source {
    /// Waits until nobody else downloads the blob.
    async fn take(&self, descriptor: &Descriptor, progress: &impl Fn(Progress)) -> Partial {
        loop {
            if let Some(partial) = self.store.partial(&descriptor.digest) {
                return partial;
            }
            let (layer, current) = (descriptor.digest.short(), self.store.partial_size(&descriptor.digest));
            progress(Progress::Downloading { layer, current, total: descriptor.size });
            tokio::time::sleep(PATIENCE).await;
        }
    }
}

impl Error {
    /// The last word on a download that broke.
    fn of_download(self, descriptor: &Descriptor) -> Self {
        match self {
            Self::Connect { url, reason } => {
                Self::Download { digest: descriptor.digest, reason: format!("Get {url:?}: {reason}") }
            }
            other => other,
        }
    }
}
