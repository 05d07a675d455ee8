//! The drivers that write files: `json-file`, `local`, and the copy of what a collector gets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use logs::{Codec, FileOptions, Format};

use super::options::{Options, initialising, size};

/// What a container that names no option may have on disk, in bytes: five files of [`DEFAULT_SIZE`].
const DEFAULT_BUDGET: u64 = 5 * DEFAULT_SIZE;
/// The size at which such a container's file is rotated and compressed.
const DEFAULT_SIZE: u64 = 20_000_000;
/// Rotated files such a container has at most, however small they are.
const DEFAULT_FILES: u32 = 64;

/// How files are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileSettings {
    format: Format,
    max_size: Option<u64>,
    max_file: u32,
    compress: Option<Codec>,
    budget: Option<u64>,
}

// === impl FileSettings ===

impl FileSettings {
    pub(super) fn at(self, path: PathBuf, attrs: BTreeMap<String, String>) -> FileOptions {
        let Self { format, max_size, max_file, compress, budget } = self;
        FileOptions { path, format, max_size, max_file, compress, budget, attrs }
    }
}

/// Docker's `json-file`. Without any option about files, the log is bounded: older files are compressed and the oldest
/// are removed when all together take more than the budget. With one, it is exactly Docker's.
pub(super) fn json(options: &Options<'_>) -> Result<FileSettings, String> {
    options.only(&["max-size", "max-file", "compress", "labels", "labels-regex", "env", "env-regex", "tag"])?;
    if ["max-size", "max-file", "compress"].iter().all(|name| options.text(name).is_none()) {
        return Ok(FileSettings {
            format: Format::Json,
            max_size: Some(DEFAULT_SIZE),
            max_file: DEFAULT_FILES,
            compress: Some(Codec::Zstd),
            budget: Some(DEFAULT_BUDGET),
        });
    }
    let max_size = match options.text("max-size") {
        None | Some("-1") => None,
        Some(text) => match size(text, 1000).map_err(|error| initialising(&error))? {
            0 => return Err(initialising("max-size must be a positive number")),
            size => Some(size),
        },
    };
    let max_file = options.number("max-file").unwrap_or(Ok(1)).map_err(|error| initialising(&error))?;
    let Some(max_file) = u32::try_from(max_file).ok().filter(|count| *count >= 1) else {
        return Err(initialising("max-file cannot be less than 1"));
    };
    let compress = options.flag("compress").unwrap_or(Ok(false)).map_err(|error| initialising(&error))?;
    if compress && (max_file < 2 || max_size.is_none()) {
        return Err(initialising("compress cannot be true when max-file is less than 2 or max-size is not set"));
    }
    let compress = compress.then_some(Codec::Gzip);
    Ok(FileSettings { format: Format::Json, max_size, max_file, compress, budget: None })
}

/// Docker's `local`.
pub(super) fn local(options: &Options<'_>) -> Result<FileSettings, String> {
    if let Some(name) = options.unknown(&["max-size", "max-file", "compress"]) {
        return Err(format!("unknown log opt '{name}' for log driver local"));
    }
    compact(options, "")
}

/// The copy: `local` with the options that begin with `cache-`.
pub(super) fn cache(options: &Options<'_>) -> Result<FileSettings, String> {
    compact(options, "cache-")
}

fn compact(options: &Options<'_>, prefix: &str) -> Result<FileSettings, String> {
    let name = |name: &str| format!("{prefix}{name}");
    let invalid =
        |what: &str, text: &str, error: String| initialising(&format!("invalid value for {what}: {text}: {error}"));
    let max_size = match options.text(&name("max-size")) {
        None => DEFAULT_SIZE,
        Some(text) => size(text, 1000).map_err(|error| invalid("max-size", text, error))?,
    };
    let max_file = match (options.number(&name("max-file")), options.text(&name("max-file"))) {
        (Some(Err(error)), Some(text)) => return Err(invalid("max-file", text, error)),
        (Some(Ok(number)), _) => number,
        _ => 5,
    };
    let compress = options.flag(&name("compress")).unwrap_or(Ok(true));
    let compress = compress.map_err(|error| initialising(&format!("error reading compress log option: {error}")))?;
    if compress && max_file < 2 {
        return Err(initialising("compression cannot be enabled when max file count is 1"));
    }
    Ok(FileSettings {
        format: Format::Local,
        // Docker takes 0 for no limit.
        max_size: Some(max_size).filter(|size| *size > 0),
        max_file: u32::try_from(max_file).unwrap_or(1).max(1),
        compress: compress.then_some(Codec::Gzip),
        budget: None,
    })
}
