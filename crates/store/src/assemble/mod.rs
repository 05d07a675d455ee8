//! Layers made of files from elsewhere (COPY and ADD of a build): what is to be copied is found ([`sources`]), where it
//! goes is looked up in the image below ([`place`]), and a [`LayerWriter`] writes it straight into a new layer.

mod image_view;
mod pattern;
pub mod place;
pub mod sources;
mod writer;

use std::io::{BufWriter, Write};

use crate::ingest::Source;
use crate::stream::{decompress_any, drain, stream_error};
use crate::unpack::{Target, Whiteouts, unpack};
use crate::{ChainId, Error, Expected, Layer, Lease, Result, Scratch, Store};

pub use writer::{Attributes, LayerWriter, is_archive};

impl Store {
    /// Unpacks an archive, plain or compressed, into a temporary directory: the files that somebody builds from.
    ///
    /// # Errors
    /// [`Error::Archive`], [`Error::Stream`] when the reader fails, or the file system's refusal.
    pub fn unpack_context(&self, archive: &mut dyn std::io::Read) -> Result<Scratch> {
        let scratch = self.scratch("context")?;
        let target = Target { directory: scratch.path(), whiteouts: Whiteouts::Keep };
        let (_, mut plain) = decompress_any(archive)?;
        unpack(&mut plain, &target)?;
        drain(&mut plain).map_err(stream_error)?;
        Ok(scratch)
    }

    /// Makes a layer of what `fill` writes, on top of `parent`.
    ///
    /// # Errors
    /// Those of `fill`, [`Error::MaxDepth`] or the file system's refusal; nothing is left behind then.
    pub fn write_layer(
        &self,
        lease: &Lease,
        parent: Option<ChainId>,
        fill: impl FnOnce(&mut LayerWriter<'_>) -> Result<()> + Send,
    ) -> Result<Layer> {
        self.put_packed(lease, parent, |writer| {
            let mut layer = LayerWriter::new(writer);
            fill(&mut layer)?;
            layer.finish()
        })
    }

    /// Makes a layer of the tar that `pack` writes.
    pub(crate) fn put_packed(
        &self,
        lease: &Lease,
        parent: Option<ChainId>,
        pack: impl FnOnce(&mut (dyn Write + Send)) -> Result<()> + Send,
    ) -> Result<Layer> {
        let (mut reader, writer) = std::io::pipe().map_err(Error::Stream)?;
        let (packed, layer) = std::thread::scope(|scope| {
            let packing = scope.spawn(move || {
                let mut writer = BufWriter::with_capacity(64 << 10, writer);
                pack(&mut writer)?;
                writer.flush().map_err(Error::Stream)
            });
            let source = Source::Stream(&mut reader);
            let layer = self.put_layer_from(lease, parent, source, &Expected::default(), Whiteouts::Overlay);
            // A packer that still writes must not wait for a reader that has failed.
            drop(reader);
            (packing.join(), layer)
        });
        match packed {
            Err(panic) => std::panic::resume_unwind(panic),
            // The reader's failure is then why the writer could not go on.
            Ok(Err(error @ Error::Stream(_))) => layer.and(Err(error)),
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) => layer,
        }
    }
}

/// SHA-256 of what a reader gives.
///
/// # Errors
/// [`Error::Stream`].
pub fn digest(reader: &mut dyn std::io::Read) -> Result<types::Digest> {
    let (mut reader, hash) = crate::stream::HashingReader::new(reader);
    drain(&mut reader).map_err(Error::Stream)?;
    Ok(hash.digest())
}

/// SHA-256 of a text.
#[must_use]
pub fn digest_of_text(text: &str) -> types::Digest {
    crate::stream::sha256(text.as_bytes())
}
