//! Streams on the way in: recognise compression, compute digests, keep a copy.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::rc::Rc;

use aws_lc_rs::digest::{Context, SHA256};
pub(crate) use codec::Compression;
use types::Digest;

use crate::Error;
use crate::error::ArchiveProblem;

/// The OCI media type of a layer stored this way.
pub(crate) fn media_type(compression: Compression) -> &'static str {
    match compression {
        // There are none for the other two, which layers never have: see `decompress`.
        Compression::None | Compression::Bzip2 | Compression::Xz => "application/vnd.oci.image.layer.v1.tar",
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    }
}

/// SHA-256 of everything that was read through it.
pub(crate) struct HashingReader<R> {
    inner: R,
    state: Rc<RefCell<HashState>>,
}

pub(crate) struct HashState {
    context: Context,
    bytes: u64,
}

/// Where a [`HashingReader`]'s result can be read while the reader itself is buried in other readers.
#[derive(Clone)]
pub(crate) struct Hash(Rc<RefCell<HashState>>);

impl Hash {
    pub(crate) fn digest(&self) -> Digest {
        finish(self.0.borrow().context.clone())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.borrow().bytes
    }
}

impl<R: Read> HashingReader<R> {
    pub(crate) fn new(inner: R) -> (Self, Hash) {
        let state = Rc::new(RefCell::new(HashState { context: Context::new(&SHA256), bytes: 0 }));
        (Self { inner, state: Rc::clone(&state) }, Hash(state))
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let mut state = self.state.borrow_mut();
        state.context.update(&buffer[..count]);
        state.bytes += count as u64;
        Ok(count)
    }
}

/// Copies everything that is read through it to a file. A failure to write is kept apart from failures to read.
pub(crate) struct TeeReader<'a> {
    pub(crate) inner: &'a mut dyn Read,
    pub(crate) copy: (File, PathBuf),
}

impl Read for TeeReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let (file, path) = &mut self.copy;
        file.write_all(&buffer[..count]).map_err(|source| {
            let kind = source.kind();
            io::Error::new(kind, Error::io("write", path, source))
        })?;
        Ok(count)
    }
}

/// Recognises the compression of a layer and undoes it.
///
/// # Errors
/// A failure to read, or compression that layers do not have.
pub(crate) fn decompress<'a>(reader: impl Read + 'a) -> Result<(Compression, Box<dyn Read + 'a>), Error> {
    let (compression, plain) = decompress_any(reader)?;
    match compression {
        Compression::Bzip2 => Err(Error::Archive(ArchiveProblem::Compression("bzip2"))),
        Compression::Xz => Err(Error::Archive(ArchiveProblem::Compression("xz"))),
        _ => Ok((compression, plain)),
    }
}

/// Recognises the compression of any archive and undoes it.
///
/// # Errors
/// A failure to read.
pub(crate) fn decompress_any<'a>(reader: impl Read + 'a) -> Result<(Compression, Box<dyn Read + 'a>), Error> {
    let mut reader = BufReader::with_capacity(128 * 1024, reader);
    let compression = Compression::of(peek(&mut reader).map_err(stream_error)?);
    let plain = codec::decode(compression, reader).map_err(stream_error)?;
    Ok((compression, plain))
}

/// The stream as a layer may be kept: compression that registries have no name for is undone.
///
/// # Errors
/// A failure to read.
pub(crate) fn layer_form<'a>(reader: impl Read + 'a) -> Result<Box<dyn Read + 'a>, Error> {
    let mut reader = BufReader::with_capacity(128 * 1024, reader);
    match Compression::of(peek(&mut reader).map_err(stream_error)?) {
        Compression::Bzip2 | Compression::Xz => Ok(decompress_any(reader)?.1),
        _ => Ok(Box::new(reader)),
    }
}

/// The first bytes; the buffer is empty before, so one read fills it, though a socket may give less than asked.
fn peek(reader: &mut impl BufRead) -> io::Result<&[u8]> {
    reader.fill_buf()
}

/// Classifies a failure that came out of a stack of readers.
pub(crate) fn stream_error(error: io::Error) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(ours) => return ours,
        Err(error) => error,
    };
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Archive(ArchiveProblem::Malformed("unexpected EOF".to_owned())),
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            if error.raw_os_error().is_none() =>
        {
            let text = error.to_string();
            let truncated = text.contains("entire block") || text.contains("incomplete frame");
            let text = if truncated {
                "unexpected EOF".to_owned()
            } else if text.contains("when getting") || text.contains("when setting") {
                // The library's words quote the field, which may be anything.
                "archive/tar: invalid tar header".to_owned()
            } else {
                format!("archive/tar: invalid tar header: {text}")
            };
            Error::Archive(ArchiveProblem::Malformed(text))
        }
        _ => Error::Stream(error),
    }
}

/// A reader of exactly so many bytes: an end before them is an error.
pub(crate) struct Exactly<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Exactly<R> {
    pub(crate) fn new(reader: R, length: u64) -> Self {
        Self { reader, left: length }
    }
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.reader.read(&mut buffer[..wanted])?;
        if count == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// Whether an archive ends right behind the content of an entry, in the middle of a block. Docker's client sends such
/// contexts, and Go reads them. Content that is cut off must have been noticed before, see [`Exactly`].
pub(crate) fn lacks_padding(error: &io::Error) -> bool {
    error.to_string() == "unexpected EOF during skip"
}

/// Reads to the end, so that digests cover what follows the archive's end mark.
pub(crate) fn drain(reader: &mut dyn Read) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    while reader.read(&mut buffer)? > 0 {}
    Ok(())
}

/// SHA-256 of bytes in memory.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    finish(context)
}

/// Turns a finished computation into a digest.
pub(crate) fn finish(context: Context) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest::from_sha256(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_no_compression_that_registries_do_not_name() {
        assert!(decompress(&b"BZh91AY"[..]).is_err());
        assert!(matches!(decompress(&b""[..]), Ok((Compression::None, _))));
    }

    #[test]
    fn an_archive_without_its_last_padding_is_told_from_a_broken_one() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(700);
        builder.append_data(&mut header, "f", &[1u8; 700][..]).expect("entry");
        let bytes = builder.into_inner().expect("archive");
        let ends = |length: usize| {
            let mut archive = tar::Archive::new(&bytes[..length]);
            for entry in archive.entries().expect("entries") {
                match entry {
                    Ok(mut entry) => match io::copy(&mut entry, &mut io::sink()) {
                        Ok(700) => {}
                        _ => return false,
                    },
                    Err(error) => return lacks_padding(&error),
                }
            }
            true
        };
        assert!(ends(512 + 700) && ends(512 + 1024));
        assert!(!ends(512 + 699));
    }

    #[test]
    fn hashes_what_passes() {
        let (mut reader, hash) = HashingReader::new(&b"abc"[..]);
        drain(&mut reader).expect("read");
        assert_eq!(hash.digest().hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((hash.bytes(), sha256(b"abc")), (3, hash.digest()));
    }
}
