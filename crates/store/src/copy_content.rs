//! Copies the content of one file: shared where the file system can, and with its holes.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::SeekFrom as Place;
use rustix::io::Errno;

/// Bytes that one call copies at most.
const STEP: usize = 1 << 30;

/// Copies all of `source` into the empty file `target`.
pub(crate) fn copy_content(source: &mut File, target: &mut File) -> io::Result<()> {
    let metadata = source.metadata()?;
    if metadata.len() == 0 {
        return Ok(());
    }
    // btrfs, xfs and others: both files have the same blocks until one of them is written to (ioctl_ficlone(2)).
    if rustix::fs::ioctl_ficlone(&*target, &*source).is_ok() {
        return Ok(());
    }
    if metadata.blocks() * 512 >= metadata.len() {
        return io::copy(source, target).map(drop);
    }
    let mut at = 0;
    while let Some((start, end)) = next_piece(&*source, at)? {
        copy_piece(source, target, start, end)?;
        at = end;
    }
    target.set_len(metadata.len())
}

/// The first piece of a file at or behind a place that is no hole: where it begins and ends. A file system that knows
/// no holes tells one piece.
pub(crate) fn next_piece(file: impl AsFd, at: u64) -> Result<Option<(u64, u64)>, Errno> {
    let start = match rustix::fs::seek(&file, Place::Data(at)) {
        Err(Errno::NXIO) => return Ok(None),
        start => start?,
    };
    Ok(Some((start, rustix::fs::seek(&file, Place::Hole(start))?)))
}

fn copy_piece(source: &mut File, target: &mut File, start: u64, end: u64) -> io::Result<()> {
    let (mut from, mut to) = (start, start);
    while from < end {
        let step = usize::try_from(end - from).map_or(STEP, |left| left.min(STEP));
        match rustix::fs::copy_file_range(&*source, Some(&mut from), &*target, Some(&mut to), step) {
            // It has become shorter.
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {
                source.seek(SeekFrom::Start(from))?;
                target.seek(SeekFrom::Start(from))?;
                return io::copy(&mut io::Read::take(&mut *source, end - from), target).map(drop);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn holes_stay_holes_and_content_arrives() {
        for (size, pieces) in [
            (0, &[][..]),
            (10, &[(0, 10)][..]),
            (8 << 20, &[][..]),
            (8 << 20, &[(0, 5000), (4 << 20, 100_000)][..]),
            ((8 << 20) + 7, &[(1 << 20, 1), (8 << 20, 7)][..]),
        ] {
            let mut source = tempfile::tempfile().expect("file");
            source.set_len(size).expect("grow");
            for (start, length) in pieces {
                source.write_all_at(&vec![7; *length], *start).expect("write");
            }
            let mut target = tempfile::tempfile().expect("file");
            copy_content(&mut source, &mut target).expect("copy");
            let read = |file: &File| {
                let mut bytes = vec![0; usize::try_from(size).expect("small")];
                file.read_exact_at(&mut bytes, 0).expect("read");
                bytes
            };
            assert!(read(&source) == read(&target), "{size} {pieces:?}");
            let metadata = |file: &File| file.metadata().expect("metadata");
            assert_eq!(metadata(&target).len(), size);
            assert!(metadata(&target).blocks() <= metadata(&source).blocks() + 16, "{size} {pieces:?}");
        }
    }
}
