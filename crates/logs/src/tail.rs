//! Finds where the last entries of a log begin, reading from the end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::format::Format;
use crate::local;

const BLOCK: u64 = 64 * 1024;

/// Where in an uncompressed file its last `wanted` entries begin. `Err` has the number of entries of a file that has
/// fewer.
pub(crate) fn locate(file: &File, format: Format, wanted: u64) -> io::Result<Result<u64, u64>> {
    match format {
        Format::Json => {
            let end = whole(file)?;
            if wanted == 0 {
                return Ok(Ok(end));
            }
            start_of_last(file, end, wanted)
        }
        Format::Local => walk_back(file, wanted),
    }
}

/// The length of the file without a last line that is still being written.
fn whole(file: &File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let mut one = 1;
    Ok(start_of_last_from(file, size, &mut one)?.unwrap_or(0))
}

/// Where the last `wanted` lines of `file[..end]` begin, `end` being just past a newline.
fn start_of_last(file: &File, end: u64, wanted: u64) -> io::Result<Result<u64, u64>> {
    if end == 0 {
        return Ok(Err(0));
    }
    let mut newlines = wanted;
    // The newline at the very end closes the last line: the search begins before it.
    if let Some(offset) = start_of_last_from(file, end - 1, &mut newlines)? {
        return Ok(Ok(offset));
    }
    // Every newline found began a line, and the first line begins without one.
    let lines = wanted - newlines + 1;
    Ok(if lines == wanted { Ok(0) } else { Err(lines) })
}

/// Searches backwards from `end` for the `wanted`-th newline and returns the offset behind it.
fn start_of_last_from(file: &File, mut end: u64, wanted: &mut u64) -> io::Result<Option<u64>> {
    let mut block = vec![0; usize::try_from(BLOCK.min(end)).unwrap_or(0)];
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
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

/// The length of the file without a last entry that is still being written.
fn whole_entries(file: &File) -> io::Result<u64> {
    const LENGTH: u64 = local::LENGTH as u64;
    let size = file.metadata()?.len();
    let length_at = |at: u64| {
        let mut bytes = [0; local::LENGTH];
        file.read_exact_at(&mut bytes, at).map(|()| u64::from(u32::from_be_bytes(bytes)))
    };
    if size >= 2 * LENGTH {
        let length = length_at(size - LENGTH)?;
        if let Some(start) = size.checked_sub(length + 2 * LENGTH)
            && length_at(start)? == length
        {
            return Ok(size);
        }
    }
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(&mut bytes, 0)?;
    let mut whole = 0;
    while let Ok(Some(length)) = local::entry_length(&bytes[whole..]) {
        whole += length;
    }
    Ok(whole as u64)
}

/// Steps over entries by the lengths behind them.
fn walk_back(file: &File, wanted: u64) -> io::Result<Result<u64, u64>> {
    const LENGTH: u64 = local::LENGTH as u64;
    let mut at = whole_entries(file)?;
    // `block` holds the bytes from `from` on: one read serves many entries.
    let (mut block, mut from) = (Vec::new(), at);
    let mut found = 0;
    while found < wanted && at >= 2 * LENGTH {
        if at - LENGTH < from {
            from = at.saturating_sub(BLOCK);
            block.resize((at - from) as usize, 0);
            file.read_exact_at(&mut block, from)?;
        }
        let place = (at - LENGTH - from) as usize;
        let length = block[place..].first_chunk().map_or(0, |bytes| u64::from(u32::from_be_bytes(*bytes)));
        let Some(start) = at.checked_sub(length + 2 * LENGTH) else { break };
        at = start;
        found += 1;
    }
    Ok(if found == wanted { Ok(at) } else { Err(found) })
}
