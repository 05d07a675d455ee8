//! The words of COPY and ADD: flags, sources, destinations.

use super::failure::{BUILDKIT, Failure};
use super::worker::{Content, Origin, Sources};
use crate::dockerfile::Files;
use crate::path;

pub(super) fn flag<E: std::error::Error>(name: &str) -> Failure<E> {
    Failure::Instruction(format!("the --{name} option {BUILDKIT}"))
}

pub(super) fn refuse_flags<E: std::error::Error>(files: &Files) -> Result<(), Failure<E>> {
    match (files.link, files.excludes.is_empty()) {
        (true, _) => Err(flag("link")),
        (false, false) => Err(flag("exclude")),
        (false, true) => Ok(()),
    }
}

/// Nothing yet, of the context.
pub(super) fn sources<I>(is_add: bool) -> Sources<I> {
    Sources { origin: Origin::Context, contents: Vec::new(), unpack: None, is_add, checksum: None }
}

/// What a word means as a source.
pub(super) fn content(path: &str, is_add: bool) -> Result<Content, String> {
    let is_url = path.starts_with("http://") || path.starts_with("https://");
    let is_repository = path.starts_with("git@") || path.starts_with("git://") || path.starts_with("ssh://");
    if !is_add {
        return if is_url {
            Err("source can't be a URL for COPY".to_owned())
        } else {
            Ok(Content::Path(path.to_owned()))
        };
    }
    if is_repository || (is_url && path.split(['#', '?']).next().is_some_and(|path| path.ends_with(".git"))) {
        return Err(format!("{path}: adding a git repository {BUILDKIT}"));
    }
    Ok(if is_url { Content::Url(path.to_owned()) } else { Content::Path(path.to_owned()) })
}

/// `--chmod`: octal digits.
pub(super) fn permissions(text: &str) -> Result<u32, String> {
    let parsed = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    parsed
        .ok_or_else(|| format!("invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"))
}

/// The destination as an absolute path; a slash at the end stays.
pub(super) fn destination(working_dir: &str, requested: &str) -> String {
    let clean = path::join(&format!("/{working_dir}"), requested);
    let is_directory = requested.ends_with('/') && clean != "/";
    if is_directory { format!("{clean}/") } else { clean }
}
