//! What several commands share.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use client::Response;
use futures_util::future::join_all;

use crate::Failure;
use crate::context::Context;
use crate::flags::Flag;
use crate::stdio::output::{self, Stream};

/// Help of `--format` where a table is the default.
pub const TABLE_FORMAT: &str = "Format output using a custom template:
'table':            Print output in table format with column headers (default)
'table TEMPLATE':   Print output in table format using the given Go template
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template.
Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates";

/// Help of `--format` elsewhere.
pub const PLAIN_FORMAT: &str = "Format output using a custom template:
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template.
Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates";

/// `--disable-content-trust`: nothing here verifies signatures, so only asking for verification is refused.
pub const TRUST: Flag =
    Flag::switch("disable-content-trust", "Skip image verification").default("true").check(|text| match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(()),
        _ => Err("image verification is not supported".to_owned()),
    });

/// Does `each` for every name at once, then prints the names that succeeded, in order, and fails with the rest.
///
/// # Errors
/// [`Failure::Several`] with one text a failed name.
pub fn for_all<F>(context: &Context, names: &[String], each: impl Fn(String) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), client::Error>>,
{
    let results = context.wait(async { Ok(join_all(names.iter().map(|name| each(name.clone()))).await) })?;
    let mut failed = Vec::new();
    for (name, result) in names.iter().zip(results) {
        match result {
            Ok(()) => context.line(name),
            Err(error) => failed.push(error.to_string()),
        }
    }
    Failure::all(failed)
}

/// The path of a container's resource.
#[must_use]
pub fn container_path(name: &str, tail: &str) -> String {
    // The slash that `inspect` writes before names would make an empty word of the path.
    format!("/containers/{}{tail}", client::escape(name.strip_prefix('/').unwrap_or(name)))
}

/// Writes an answer's body to stdout, or to a file that appears only when it is whole. `what` begins the message of a
/// failure.
///
/// # Errors
/// When the engine breaks off, or the place cannot be written.
pub async fn write_output(mut response: Response, path: &str, what: &str) -> Result<(), Failure> {
    let failed = |source| Failure::Io { what: what.to_owned(), source };
    if path.is_empty() {
        while let Some(bytes) = response.chunk().await? {
            output::write(Stream::Out, &bytes).map_err(failed)?;
        }
        return Ok(());
    }
    let partial = Path::new(path).with_extension(format!("partial-{}", std::process::id()));
    let copied = async {
        let mut file = File::create(&partial).map_err(failed)?;
        while let Some(bytes) = response.chunk().await? {
            file.write_all(&bytes).map_err(failed)?;
        }
        fs::rename(&partial, path).map_err(failed)
    }
    .await;
    if copied.is_err() {
        let _ = fs::remove_file(&partial);
    }
    copied
}

/// Whether something can be written at a path: its directory is there, and it is no device.
///
/// # Errors
/// Docker's words.
pub fn check_output_path(path: &str) -> Result<(), Failure> {
    let trimmed = path.trim_end_matches("/.").trim_end_matches('/');
    let directory = Path::new(trimmed).parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(directory) = directory
        && !directory.exists()
    {
        let directory = directory.display().to_string();
        return Err(Failure::Invalid(format!("invalid output path: directory {directory:?} does not exist")));
    }
    let is_device = |kind: fs::FileType| kind.is_char_device() || kind.is_block_device();
    if fs::metadata(path).is_ok_and(|metadata| is_device(metadata.file_type())) {
        let text = format!("invalid output path: {path:?} must be a directory or a regular file: got a device");
        return Err(Failure::Invalid(text));
    }
    Ok(())
}

/// `os/arch[/variant]` as the JSON text that parameters of images are; empty stays empty.
///
/// # Errors
/// Docker's text for what is no platform.
pub fn platform_json(text: &str) -> Result<String, Failure> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let invalid = || Failure::Invalid(format!("invalid platform: {text:?}: unknown operating system or architecture"));
    let platform = types::Platform::parse(text).ok_or_else(invalid)?;
    serde_json::to_string(&platform).map_err(|_| invalid())
}
