//! `KEY=value` flags and the files they may come from.

use std::fs;

use indexmap::IndexMap;

/// Reads `files` and then `given`, in order. A name without a value takes it from `lookup`; in a file such a name is
/// dropped when `lookup` has nothing, on the command line it stays (the engine removes the variable).
///
/// # Errors
/// Docker's text when a file cannot be read or has a malformed line.
pub fn environment(
    files: &[&str],
    given: &[&str],
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, String> {
    let mut variables = Vec::new();
    for file in files {
        variables.extend(read(file, &lookup)?);
    }
    for text in given {
        variables.push(match (text.contains('='), lookup(text)) {
            (false, Some(value)) => format!("{text}={value}"),
            _ => (*text).to_owned(),
        });
    }
    Ok(variables)
}

/// Labels of `files` and then `given`; a later one replaces an earlier one.
///
/// # Errors
/// As [`environment`].
pub fn labels(files: &[&str], given: &[&str]) -> Result<IndexMap<String, String>, String> {
    let mut lines = Vec::new();
    for file in files {
        lines.extend(read(file, &|_: &str| None)?);
    }
    lines.extend(given.iter().map(|text| (*text).to_owned()));
    Ok(lines.iter().map(|line| pair(line)).collect())
}

/// `key=value` pairs; a missing value is empty.
#[must_use]
pub fn map(given: &[&str]) -> IndexMap<String, String> {
    given.iter().map(|text| pair(text)).collect()
}

fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

fn read(file: &str, lookup: &impl Fn(&str) -> Option<String>) -> Result<Vec<String>, String> {
    let bytes = fs::read(file).map_err(|e| format!("open {file}: {}", go_error(&e)))?;
    parse(&bytes, lookup).map_err(|detail| format!("invalid env file ({file}): {detail}"))
}

/// The system's error text in lower case, as Go prints it.
#[must_use]
pub fn go_error(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => error.to_string(),
    }
}

fn parse(bytes: &[u8], lookup: &impl Fn(&str) -> Option<String>) -> Result<Vec<String>, String> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut variables = Vec::new();
    for (index, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        let line = str::from_utf8(raw).map_err(|_| format!("invalid utf8 bytes at line {}: {raw:?}", index + 1))?;
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = line.split('=').next().unwrap_or_default();
        if key.is_empty() {
            return Err(format!("no variable name on line '{line}'"));
        }
        if key.contains([' ', '\t']) {
            return Err(format!("variable '{key}' contains whitespaces"));
        }
        if line.contains('=') {
            variables.push(line.to_owned());
        } else if let Some(value) = lookup(key) {
            variables.push(format!("{key}={value}"));
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_files_and_names_without_values() {
        let lookup = |name: &str| (name == "HOME").then(|| "/root".to_owned());
        let text = "\u{feff}A=1\n# no\n  B=x y \nHOME\nNONE\n\n";
        assert_eq!(
            parse(text.as_bytes(), &lookup),
            Ok(vec!["A=1".to_owned(), "B=x y ".to_owned(), "HOME=/root".to_owned()])
        );
        assert_eq!(parse(b"A B=1", &lookup), Err("variable 'A B' contains whitespaces".to_owned()));
        assert_eq!(parse(b"=1", &lookup), Err("no variable name on line '=1'".to_owned()));
        assert_eq!(
            environment(&[], &["HOME", "NONE", "X=1"], lookup),
            Ok(vec!["HOME=/root".to_owned(), "NONE".to_owned(), "X=1".to_owned()])
        );
        assert_eq!(
            environment(&["/nope.env"], &[], lookup),
            Err("open /nope.env: no such file or directory".to_owned())
        );
    }
}
