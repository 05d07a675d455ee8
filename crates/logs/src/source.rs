//! One file of a log, opened: plain or compressed.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::error::Error;
use crate::files::{self, Codec};
use crate::format::Format;
use crate::packed::{Summary, Unpacker};
use crate::timestamp::Timestamp;

/// Device and inode of the file the entries were written to, also when they are in a compressed copy by now.
pub(crate) type Identity = (u64, u64);

#[derive(Debug)]
pub(crate) struct Source {
    content: Content,
    pub(crate) identity: Identity,
    /// Bytes read so far.
    pub(crate) offset: u64,
    /// Entries to pass over, of a compressed file.
    pub(crate) skip: u64,
    summary: Summary,
}

#[derive(Debug)]
enum Content {
    Plain(File),
    /// Compressed, not begun.
    Packed(File, Codec),
    Unpacking(Box<Unpacker>),
}

// === impl Source ===

impl Source {
    fn new(file: File, codec: Option<Codec>) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let mut identity = (metadata.dev(), metadata.ino());
        let mut summary = Summary::default();
        let content = match codec {
            None => Content::Plain(file),
            Some(codec) => {
                summary = Summary::read(&file, codec)?;
                identity = summary.source.unwrap_or(identity);
                Content::Packed(file, codec)
            }
        };
        Ok(Self { content, identity, offset: 0, skip: 0, summary })
    }

    /// The file itself, when it may still grow.
    pub(crate) fn plain(&self) -> Option<&File> {
        match &self.content {
            Content::Plain(file) => Some(file),
            _ => None,
        }
    }

    /// Whether everything in it is known to be earlier.
    pub(crate) fn is_before(&self, since: Timestamp) -> bool {
        self.summary.last().is_some_and(|last| last < since)
    }

    /// Reads on; 0 at the end.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Content::Packed(file, codec) = &self.content {
            self.content = Content::Unpacking(Box::new(Unpacker::new(file.try_clone()?, *codec)?));
        }
        let length = match &mut self.content {
            Content::Plain(file) => rustix::io::retry_on_intr(|| rustix::io::read(&*file, &mut *into))?,
            Content::Unpacking(unpacker) => unpacker.read(into)?,
            Content::Packed(..) => 0,
        };
        self.offset += length as u64;
        Ok(length)
    }

    /// Goes to the start of a file that was emptied.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        self.seek(0)
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        if let Content::Plain(file) = &mut self.content {
            self.offset = file.seek(SeekFrom::Start(offset))?;
        }
        Ok(())
    }

    /// Begins at the last `wanted` entries; with fewer at the start, and then says how many there are.
    fn begin_at_last(&mut self, wanted: u64, format: Format) -> io::Result<u64> {
        let codec = match &self.content {
            Content::Plain(file) => {
                return match crate::tail::locate(file, format, wanted)? {
                    Ok(offset) => self.seek(offset).map(|()| wanted),
                    Err(fewer) => Ok(fewer),
                };
            }
            Content::Packed(_, codec) => *codec,
            Content::Unpacking(_) => return Ok(0),
        };
        let entries = match self.summary.entries {
            Some(entries) => entries,
            // Somebody else's file does not tell.
            None => self.count(codec, format)?,
        };
        self.skip = entries.saturating_sub(wanted);
        Ok(entries.min(wanted))
    }

    fn count(&self, codec: Codec, format: Format) -> io::Result<u64> {
        let Content::Packed(file, _) = &self.content else { return Ok(0) };
        let mut unpacker = Unpacker::new(file.try_clone()?, codec)?;
        let mut bytes = Vec::new();
        unpacker.read_to_end(&mut bytes)?;
        // Both handles share one offset.
        let mut shared = file;
        shared.rewind()?;
        let (mut at, mut entries) = (0, 0);
        while let Ok(Some(length)) = format.entry(&bytes[at..]) {
            at += length;
            entries += 1;
        }
        Ok(entries)
    }
}

/// Keeps the files that the last `wanted` entries are in, and begins at the first of these.
pub(crate) fn begin_at_last(files: &mut VecDeque<Source>, wanted: u64, format: Format) -> io::Result<()> {
    let mut left = wanted;
    for index in (0..files.len()).rev() {
        left -= files[index].begin_at_last(left, format)?;
        if left == 0 {
            files.drain(..index);
            break;
        }
    }
    Ok(())
}

/// Opens the files that are newer than `known` (all without one), oldest first. Looks from the newest to the
/// oldest because rotation moves files that way: one can be met twice, never missed.
pub(crate) fn successors(path: &Path, known: Option<Identity>) -> Result<VecDeque<Source>, Error> {
    let mut found: VecDeque<Source> = VecDeque::new();
    let mut gap = false;
    for age in 0.. {
        let failed = |source| Error::Open { path: files::aged(path, age), source };
        let Some(source) = open(path, age).map_err(failed)? else {
            // In the middle of a rotation one name is free while the older ones are taken.
            if gap {
                break;
            }
            gap = true;
            continue;
        };
        if known == Some(source.identity) {
            break;
        }
        if found.front().is_none_or(|newer| newer.identity != source.identity) {
            found.push_front(source);
        }
    }
    Ok(found)
}

/// Opens the file of one age in whatever form it has. The plain one goes only after the compressed one is there.
fn open(path: &Path, age: u32) -> io::Result<Option<Source>> {
    let forms: &[Option<Codec>] = &[None, Some(Codec::Gzip), Some(Codec::Zstd)];
    for codec in if age == 0 { &forms[..1] } else { forms } {
        match rustix::fs::open(files::formed(path, age, *codec), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => return Source::new(File::from(file), *codec).map(Some),
            Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(None)
}

/// Which file has the name now.
pub(crate) fn identity_at(path: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
