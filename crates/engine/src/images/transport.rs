//! `docker load`, `docker import`, `docker save`: tar streams between clients and the store.
//!
//! The store is synchronous and the clients are not: each transport runs on a blocking thread, with a bounded channel
//! in between, so that neither side runs ahead of the other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use store::{ChainId, DiffId, ImageId, ImportOptions, LoadEvent, SaveOptions};
use sys::allocator::TrimBehind;
use tokio::sync::mpsc;
use types::{Digest, Platform};

use super::ImageProgress;
use crate::engine::Engine;
use crate::error::Error;

/// Bytes a piece of a saved archive has.
const PIECE: usize = 256 * 1024;
/// Pieces and progress steps in flight.
const IN_FLIGHT: usize = 16;

/// Steps of a transport; an error is the last one.
pub(super) type Steps = mpsc::Receiver<Result<ImageProgress, Error>>;

/// What goes into an archive.
#[derive(Clone, Debug, Default)]
pub struct SaveImages {
    /// Names or ids; a name without a tag means all tags of its repository.
    pub names: Vec<String>,
    /// Only images for that machine.
    pub platform: Option<Platform>,
    /// Images whose layers are left out.
    pub since: Vec<String>,
    /// Chain ids of layers that are left out with all that is below them.
    pub present: Vec<Digest>,
}

impl Engine {
    /// Loads images from an archive, with `platform` only those for that machine.
    pub fn image_load(self: &Arc<Self>, mut archive: impl Read + Send + 'static, platform: Option<Platform>) -> Steps {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        let engine = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let _trim = TrimBehind::default();
            let steps = sender.clone();
            // A client that left is noticed by the store when its archive ends.
            let mut progress = move |event: LoadEvent| drop(steps.blocking_send(Ok(ImageProgress::Load(event))));
            match engine.store.load(&mut archive, platform.as_ref(), &mut progress) {
                Ok(loaded) => {
                    // An image with several names is one.
                    let ids: BTreeSet<ImageId> = loaded.iter().map(|loaded| loaded.id).collect();
                    ids.iter().for_each(|id| engine.image_event("load", &id.to_string(), &id.to_string(), None));
                }
                Err(error) => drop(sender.blocking_send(Err(error.into()))),
            }
        });
        receiver
    }

    /// Makes an image of a root file system.
    pub fn image_import(self: &Arc<Self>, archive: impl Read + Send + 'static, options: ImportOptions) -> Steps {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        self.import_into(sender, archive, options);
        receiver
    }

    /// Makes an image of a root file system on a web server.
    pub fn image_import_from(self: &Arc<Self>, address: String, options: ImportOptions) -> Steps {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let remote = match transfer::Remote::open(&address, &engine.registries()).await {
                Ok(remote) => remote,
                Err(error) => return drop(sender.send(Err(error.into())).await),
            };
            let message = match options.message.is_empty() {
                true => format!("Imported from {}", remote.url()),
                false => options.message.clone(),
            };
            let _ = sender.send(Ok(ImageProgress::ImportingFrom(remote.url().to_owned()))).await;
            let (pieces, reader) = ChannelReader::new();
            engine.import_into(sender.clone(), reader, ImportOptions { message, ..options });
            feed(remote, &pieces, &sender).await;
        });
        receiver
    }

    fn import_into(
        self: &Arc<Self>,
        sender: mpsc::Sender<Result<ImageProgress, Error>>,
        mut archive: impl Read + Send + 'static,
        options: ImportOptions,
    ) {
        let engine = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let name = options.reference.clone().map(types::Reference::with_default_tag);
            let _trim = TrimBehind::default();
            let step = match engine.store.import(&mut archive, options) {
                Ok(id) => {
                    if let Some(name) = name {
                        engine.image_event("tag", &id.to_string(), &name.familiar(), None);
                    }
                    engine.image_event("import", &id.to_string(), &id.to_string(), None);
                    Ok(ImageProgress::Imported(id))
                }
                Err(error) => Err(error.into()),
            };
            // A client that left does not need the answer.
            drop(sender.blocking_send(step));
        });
    }

    /// Writes images into one archive.
    ///
    /// # Errors
    /// `NotFound`; a failure later ends the stream early and is logged.
    pub async fn image_save(self: &Arc<Self>, request: SaveImages) -> Result<mpsc::Receiver<Bytes>, Error> {
        let (mut writer, receiver) = ChannelWriter::new();
        let engine = Arc::clone(self);
        let SaveImages { names, platform, since, present } = request;
        let images = names.clone();
        let (images, options) = self
            .blocking({
                let engine = Arc::clone(&engine);
                move || {
                    let mut without: BTreeSet<ChainId> = present.into_iter().map(ChainId).collect();
                    for name in &since {
                        without.extend(&engine.find_image(name)?.chain);
                    }
                    let options = SaveOptions { without, since };
                    let named = images.iter().map(|name| engine.store.named(name)).collect::<Result<Vec<_>, _>>()?;
                    let found = named.iter().flatten().map(|(id, name)| {
                        let name = name.as_ref().map_or_else(|| id.to_string(), types::Reference::familiar);
                        engine.find_image_for(&name, platform.as_ref())
                    });
                    Ok((found.collect::<Result<Vec<_>, _>>()?, options))
                }
            })
            .await?;
        tokio::task::spawn_blocking(move || {
            let _trim = TrimBehind::default();
            let result = engine.store.save(&names, &options, &mut writer).map_err(Error::from);
            let result = result.and_then(|()| writer.flush().map_err(Error::file("write", "the archive")));
            match result {
                Ok(()) => {
                    let images: BTreeMap<ImageId, _> = images.iter().map(|image| (image.id, image)).collect();
                    for (id, image) in images {
                        engine.image_event("save", &id.to_string(), &id.to_string(), Some(image));
                    }
                }
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "save ended early"),
            }
        });
        Ok(receiver)
    }
}

impl Engine {
    /// How much of each stack of layers is here: the chain id of the topmost layer that is, bottom first as far as there
    /// is no gap.
    pub async fn layers_present(self: &Arc<Self>, stacks: Vec<Vec<Digest>>) -> Result<Vec<Option<Digest>>, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || {
            let lease = engine.store.lease();
            let topmost = |stack: Vec<Digest>| {
                let diffs: Vec<DiffId> = stack.into_iter().map(DiffId).collect();
                let chain = store::chain_ids(&diffs).into_iter();
                chain.take_while(|chain| engine.store.layer(&lease, chain).is_some()).last().map(|chain| chain.0)
            };
            Ok(stacks.into_iter().map(topmost).collect())
        })
        .await
    }
}

/// Passes a download on. A break, or a client that left, is a failed read: what came so far must not look whole.
async fn feed(
    mut remote: transfer::Remote,
    pieces: &mpsc::Sender<io::Result<Bytes>>,
    sender: &mpsc::Sender<Result<ImageProgress, Error>>,
) {
    let (mut current, total) = (0, remote.size());
    loop {
        let piece = tokio::select! {
            piece = remote.next() => piece.map_err(io::Error::other),
            () = sender.closed() => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        let piece = match piece {
            Ok(Some(piece)) => Ok(piece),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let broken = piece.is_err();
        current += piece.as_ref().map_or(0, Bytes::len) as u64;
        // The reader is dropped when it has seen enough.
        if pieces.send(piece).await.is_err() || broken {
            return;
        }
        // For display: left out where there is no room.
        let _ = sender.try_send(Ok(ImageProgress::Importing(current, total)));
    }
}

/// Reads what an asynchronous sender sends. Only for threads that may block.
#[derive(Debug)]
pub struct ChannelReader {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl ChannelReader {
    /// A reader, and where its bytes come from.
    #[must_use]
    pub fn new() -> (mpsc::Sender<io::Result<Bytes>>, Self) {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        (sender, Self { receiver, current: Bytes::new() })
    }
}

impl Read for ChannelReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// Collects what is written into pieces for an asynchronous receiver.
pub(crate) struct ChannelWriter<T = Bytes> {
    sender: mpsc::Sender<T>,
    piece: fn(Bytes) -> T,
    buffer: BytesMut,
}

impl ChannelWriter {
    /// A writer, and where its pieces arrive.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        (Self { sender, piece: |bytes| bytes, buffer: BytesMut::with_capacity(PIECE) }, receiver)
    }
}

impl ChannelWriter<io::Result<Bytes>> {
    /// A writer whose receiver learns that it did not come to its end.
    pub(crate) fn checked() -> (Self, mpsc::Receiver<io::Result<Bytes>>) {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        (Self { sender, piece: Ok, buffer: BytesMut::with_capacity(PIECE) }, receiver)
    }

    /// Ends the stream with a failure.
    pub(crate) fn fail(self, error: io::Error) {
        // A receiver that left knows.
        let _ = self.sender.blocking_send(Err(error));
    }
}

impl<T> Write for ChannelWriter<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A larger piece would be more in flight than was meant.
        let count = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == PIECE {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(PIECE)).freeze();
        self.sender.blocking_send((self.piece)(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_arrive_whole_and_in_order() {
        let (sender, mut reader) = ChannelReader::new();
        sender.blocking_send(Ok(Bytes::from_static(b"one "))).expect("room");
        sender.blocking_send(Ok(Bytes::new())).expect("room");
        sender.blocking_send(Ok(Bytes::from_static(b"two"))).expect("room");
        drop(sender);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("reads");
        assert_eq!(text, "one two");
    }

    #[test]
    fn a_receiver_that_left_is_a_broken_pipe() {
        let (mut writer, receiver) = ChannelWriter::new();
        drop(receiver);
        writer.write_all(b"x").expect("buffered");
        assert_eq!(writer.flush().map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
    }
}
