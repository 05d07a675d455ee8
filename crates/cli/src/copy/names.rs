//! The rules by which `docker cp` decides what a copy is called. A path that ends with `/` must be a directory; one
//! that ends with `/.` means what is in the directory.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::go_text;
use crate::Failure;

/// One end of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// As written, made absolute, its ending kept.
    pub path: String,
    /// It is there.
    pub exists: bool,
    /// It is a directory.
    pub is_directory: bool,
    /// The name it is asked for by, when a link made it another one.
    pub rename: String,
}

/// The first part of the names in an archive, and what it becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rename {
    /// As in the archive.
    pub old: String,
    /// As it shall be.
    pub new: String,
}

impl Rename {
    /// The new name of an entry.
    #[must_use]
    pub fn apply(&self, name: &[u8]) -> Vec<u8> {
        // Names below the root begin with its slash.
        let old = if self.old == "/" { "" } else { &self.old };
        match name.strip_prefix(old.as_bytes()) {
            Some(rest) => [self.new.as_bytes(), rest].concat(),
            None => name.to_owned(),
        }
    }
}

/// `CONTAINER:PATH`, or a local path: absolute, without a colon, or beginning with a dot.
#[must_use]
pub fn split_argument(argument: &str) -> (Option<&str>, &str) {
    if argument.starts_with('/') {
        return (None, argument);
    }
    match argument.split_once(':') {
        Some((container, path)) if !container.starts_with('.') && !container.is_empty() => (Some(container), path),
        _ => (None, argument),
    }
}

/// Without dots and double slashes, as Go's `filepath.Clean` writes it.
#[must_use]
pub fn clean(path: &str) -> String {
    let mut cleaned = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if cleaned.file_name().is_some_and(|name| name != "..") => drop(cleaned.pop()),
            Component::ParentDir if cleaned.has_root() => {}
            other => cleaned.push(other),
        }
    }
    let text = cleaned.display().to_string();
    if text.is_empty() { ".".to_owned() } else { text }
}

/// Ends with `.` as a whole component.
fn is_dot(path: &str) -> bool {
    path == "." || path.ends_with("/.")
}

/// Must be a directory.
fn asserts_directory(path: &str) -> bool {
    path.ends_with('/') || is_dot(path)
}

/// `cleaned` with the ending that `original` has.
fn keep_ending(mut cleaned: String, original: &str) -> String {
    if is_dot(original) && !is_dot(&cleaned) {
        if !cleaned.ends_with('/') {
            cleaned.push('/');
        }
        cleaned.push('.');
    }
    if original.ends_with('/') && !cleaned.ends_with('/') {
        cleaned.push('/');
    }
    cleaned
}

/// Directory and last component; `/.` counts as one.
#[must_use]
pub fn split_entry(path: &str) -> (String, String) {
    let cleaned = clean(path);
    if is_dot(path) {
        return (cleaned, ".".to_owned());
    }
    match cleaned.rsplit_once('/') {
        Some(("", "")) => ("/".to_owned(), "/".to_owned()),
        Some(("", name)) => ("/".to_owned(), name.to_owned()),
        Some((directory, name)) => (directory.to_owned(), name.to_owned()),
        None => (".".to_owned(), cleaned),
    }
}

fn base(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { "/".to_owned() } else { trimmed.rsplit('/').next().unwrap_or_default().to_owned() }
}

/// A local path, absolute and clean, its ending kept.
///
/// # Errors
/// When there is no working directory.
pub fn resolve_local(path: &str) -> Result<String, Failure> {
    let absolute = if path.starts_with('/') {
        path.to_owned()
    } else {
        let here = std::env::current_dir().map_err(|error| Failure::Invalid(format!("getwd: {}", go_text(&error))))?;
        format!("{}/{path}", here.display())
    };
    Ok(keep_ending(clean(&absolute), path))
}

/// `resolved` with the ending of `path`, and the name asked for when it is another one.
#[must_use]
pub fn renamed(path: &str, resolved: String) -> (String, String) {
    let resolved = keep_ending(resolved, path);
    let rename = if base(path) == base(&resolved) { String::new() } else { base(path) };
    (resolved, rename)
}

/// What is to be copied from here.
///
/// # Errors
/// When it is not there, in Go's words.
pub fn local_source(path: &str, follow: bool) -> Result<Info, Failure> {
    let failed = |path: &str| {
        let path = path.to_owned();
        move |error: std::io::Error| Failure::Invalid(format!("lstat {path}: {}", go_text(&error)))
    };
    let (path, rename) = if follow {
        let resolved = real(path).map_err(failed(path))?;
        renamed(path, resolved.display().to_string())
    } else {
        // Only the directory's links are resolved.
        let (directory, name) = path.rsplit_once('/').unwrap_or((".", path));
        let directory = if directory.is_empty() { "/" } else { directory };
        let resolved = real(directory).map_err(failed(directory))?;
        let resolved = format!("{}/{name}", resolved.display().to_string().trim_end_matches('/'));
        let rename = if path.ends_with('/') && base(path) != base(&resolved) { base(path) } else { String::new() };
        (resolved, rename)
    };
    let found = if asserts_directory(&path) { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
    let is_directory = found.map_err(failed(&path))?.is_dir();
    Ok(Info { path, exists: true, is_directory, rename })
}

/// The path without links.
#[expect(clippy::disallowed_methods, reason = "our user's own files, by our user's own rights")]
fn real(path: &str) -> std::io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Where a copy goes, and how the archive's entries are renamed on the way.
///
/// # Errors
/// A directory onto a file, or a file into a directory that is not there.
pub fn arrange(source: &Info, destination: &Info) -> Result<(String, Option<Rename>), Failure> {
    if destination.exists && destination.is_directory {
        return Ok((destination.path.clone(), None));
    }
    if destination.exists && source.is_directory {
        return Err(Failure::Invalid("cannot copy directory".to_owned()));
    }
    if !destination.exists && !source.is_directory && asserts_directory(&destination.path) {
        return Err(Failure::Invalid("no such directory".to_owned()));
    }
    let (directory, name) = split_entry(&destination.path);
    let old = if source.rename.is_empty() { split_entry(&source.path).1 } else { source.rename.clone() };
    Ok((directory, Some(Rename { old, new: name })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_apart() {
        assert_eq!(split_argument("c1:/etc"), (Some("c1"), "/etc"));
        for local in ["/a:b", "./a:b", "plain", "../x:y", ":x"] {
            assert_eq!(split_argument(local), (None, local));
        }
    }

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, cleaned) in
            [("a/./b//c/", "a/b/c"), ("/..", "/"), ("a/..", "."), ("../a", "../a"), ("", "."), ("/a/../b", "/b")]
        {
            assert_eq!(clean(path), cleaned, "{path}");
        }
        assert_eq!(split_entry("/a/b/."), ("/a/b".to_owned(), ".".to_owned()));
        assert_eq!(split_entry("/a"), ("/".to_owned(), "a".to_owned()));
        assert_eq!(split_entry("/"), ("/".to_owned(), "/".to_owned()));
        assert_eq!(renamed("/l/", "/target".to_owned()), ("/target/".to_owned(), "l".to_owned()));
    }

    #[test]
    fn copies_are_arranged_by_what_is_there() {
        let info =
            |path: &str, exists, is_directory| Info { path: path.to_owned(), exists, is_directory, ..Info::default() };
        let rename = |old: &str, new: &str| Some(Rename { old: old.to_owned(), new: new.to_owned() });
        let (file, directory) = (info("/s/f", true, false), info("/s/d", true, true));
        let to = |source: &Info, destination: Info| arrange(source, &destination).map_err(|error| error.to_string());
        assert_eq!(to(&file, info("/t", true, true)), Ok(("/t".to_owned(), None)));
        assert_eq!(to(&file, info("/t/g", true, false)), Ok(("/t".to_owned(), rename("f", "g"))));
        assert_eq!(to(&file, info("/t/g", false, false)), Ok(("/t".to_owned(), rename("f", "g"))));
        assert_eq!(to(&directory, info("/t/e", false, false)), Ok(("/t".to_owned(), rename("d", "e"))));
        assert_eq!(to(&directory, info("/t/e/", false, false)), Ok(("/t".to_owned(), rename("d", "e"))));
        assert_eq!(to(&file, info("/t/e/", false, false)), Err("no such directory".to_owned()));
        assert_eq!(to(&directory, info("/t/g", true, false)), Err("cannot copy directory".to_owned()));
        assert_eq!(
            to(&info("/s/d/.", true, true), info("/t/e", false, false)),
            Ok(("/t".to_owned(), rename(".", "e")))
        );
        let renaming = Rename { old: ".".to_owned(), new: "e".to_owned() };
        assert_eq!(renaming.apply(b"./x"), b"e/x");
        assert_eq!(Rename { old: "/".to_owned(), new: "e".to_owned() }.apply(b"/bin/x"), b"e/bin/x");
    }
}
