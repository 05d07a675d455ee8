//! Finds where the last entries of a log begin, reading from the end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

const BLOCK: u64 = 64 * 1024;

/// The place from which `entries` whole lines remain: index into `files` (oldest first) and offset. A log
/// with fewer lines is shown from its start.
pub(crate) fn locate(files: &[File], entries: u64) -> io::Result<(usize, u64)> {
    let mut wanted = entries;
    for (index, file) in files.iter().enumerate().rev() {
        let end = whole(file)?;
        if wanted == 0 {
            return Ok((index, end));
        }
        match start_of_last(file, end, &mut wanted)? {
            Some(offset) => return Ok((index, offset)),
            None if index == 0 => break,
            // The older file has exactly what is missing; if nothing is missing, this one is shown whole.
            None if wanted == 0 => return Ok((index, 0)),
            None => {}
        }
    }
    Ok((0, 0))
}

/// The length of the file without a last line that is still being written.
fn whole(file: &File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let mut one = 1;
    Ok(start_of_last_from(file, size, &mut one, 0)?.unwrap_or(0))
}

/// Where the last `wanted` lines of `file[..end]` begin, `end` being just past a newline. Reduces `wanted`
/// by the lines seen when there are not so many.
fn start_of_last(file: &File, end: u64, wanted: &mut u64) -> io::Result<Option<u64>> {
    if end == 0 {
        return Ok(None);
    }
    let mut newlines = *wanted;
    // The newline at the very end closes the last line: the search begins before it.
    if let Some(offset) = start_of_last_from(file, end - 1, &mut newlines, 0)? {
        *wanted = 0;
        return Ok(Some(offset));
    }
    // Every newline found began a line, and the first line begins without one.
    *wanted = newlines - 1;
    Ok(None)
}

/// Searches backwards from `end` for the `wanted`-th newline and returns the offset behind it.
fn start_of_last_from(file: &File, mut end: u64, wanted: &mut u64, floor: u64) -> io::Result<Option<u64>> {
    let mut block = vec![0; usize::try_from(BLOCK.min(end)).unwrap_or(0)];
    while end > floor {
        let start = end.saturating_sub(BLOCK).max(floor);
        let bytes = &mut block[..(end - start) as usize];
        file.read_exact_at(bytes, start)?;
        for newline in memchr::memrchr_iter(b'\n', bytes) {
            *wanted -= 1;
            if *wanted == 0 {
                return Ok(Some(start + newline as u64 + 1));
            }
        }
        end = start;
    }
    Ok(None)
}
