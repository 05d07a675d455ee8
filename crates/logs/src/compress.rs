//! Compressing rotated files, in a short-lived process of its own: the writer's loop never waits for it, its memory
//! is gone with it, and it survives the writer.
//!
//! The process holds a lock on the log's directory (flock(2) on a descriptor it inherits). While somebody has the
//! lock, the rotated files keep their names; so the compressor can give its result the name of what it compressed,
//! also when the container's monitor was killed meanwhile or a new run of the container writes. A compressor that is
//! killed leaves an uncompressed log and one unfinished file, which the next one overwrites.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::FlockOperation;

use crate::files::{self, Codec};
use crate::format::Format;
use crate::packed::{Packer, Summary};

/// The first argument by which the monitor's program knows that it is a compressor.
pub const COMMAND: &str = "compress-log";
/// Containers come first.
const NICENESS: i32 = 10;
const READ: usize = 256 * 1024;

/// Takes the lock of the log's directory; `None` when a compressor has it.
pub(crate) fn lock(path: &Path) -> io::Result<Option<File>> {
    let directory = File::open(path.parent().unwrap_or(Path::new("/")))?;
    match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(directory)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Starts a process that compresses every rotated file that is not compressed; returns its pid. It is to be reaped
/// like any other child.
pub(crate) fn spawn(path: &Path, codec: Codec, format: Format, lock: File) -> io::Result<i32> {
    let format = if format == Format::Json { "json" } else { "local" };
    let child = Command::new("/proc/self/exe")
        .arg0("gantry-monitor")
        .args([COMMAND, codec.name(), format])
        .arg(path)
        .env_clear()
        .stdin(Stdio::from(lock))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(child.id() as i32)
}

/// The whole life of the process; `arguments` are what follows [`COMMAND`].
///
/// # Errors
/// What could not be compressed stays as it is.
pub fn main(arguments: &[OsString]) -> io::Result<()> {
    let [codec, format, path] = arguments else { return Err(io::ErrorKind::InvalidInput.into()) };
    let codec = codec.to_str().and_then(Codec::from_name).ok_or(io::ErrorKind::InvalidInput)?;
    let format = if format == "json" { Format::Json } else { Format::Local };
    let _ = rustix::process::setpriority_process(None, NICENESS);
    compress_all(Path::new(path), codec, format)
}

/// Compresses the rotated files, the oldest first.
fn compress_all(path: &Path, codec: Codec, format: Format) -> io::Result<()> {
    let ages: Vec<u32> = (1..).take_while(|age| !files::sizes(path, *age).is_empty()).collect();
    for age in ages.into_iter().rev() {
        let (plain, into) = (files::aged(path, age), files::formed(path, age, Some(codec)));
        if plain.exists() {
            compress(&plain, &into, &files::unfinished(path), codec, format)?;
        }
    }
    Ok(())
}

fn compress(plain: &Path, into: &PathBuf, unfinished: &Path, codec: Codec, format: Format) -> io::Result<()> {
    let mut from = File::open(plain)?;
    let summary = summarise(&from, format)?;
    from.rewind()?;
    let to = File::options().write(true).create(true).truncate(true).mode(0o640).open(unfinished)?;
    let mut packer = Packer::new(to, codec, &summary)?;
    let mut buffer = vec![0; READ];
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            length => packer.write_all(&buffer[..length])?,
        }
    }
    packer.finish()?;
    std::fs::rename(unfinished, into)?;
    std::fs::remove_file(plain)
}

fn summarise(mut file: &File, format: Format) -> io::Result<Summary> {
    let metadata = file.metadata()?;
    let (mut buffer, mut end, mut entries) = (vec![0; READ], 0, 0);
    let mut last = Vec::new();
    loop {
        let length = file.read(&mut buffer[end..])?;
        end += length;
        let mut start = 0;
        let mut newest = 0..0;
        let damaged = loop {
            match format.entry(&buffer[start..end]) {
                Ok(Some(length)) => {
                    newest = start..start + length;
                    start += length;
                    entries += 1;
                }
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        if !newest.is_empty() {
            last = buffer[newest].to_vec();
        }
        buffer.copy_within(start..end, 0);
        end -= start;
        if length == 0 || damaged {
            break;
        }
        if end == buffer.len() {
            buffer.resize(end + READ, 0);
        }
    }
    let last_time = format.time(&last).map(crate::Timestamp::to_rfc3339_nano);
    Ok(Summary { last_time, entries: Some(entries), source: Some((metadata.dev(), metadata.ino())) })
}
