//! `daemon.json`: the same options as the flags, under Docker's keys.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::flags;

/// Options from the file, by flag name; every value as the texts that the flag would have had.
pub(super) type FileOptions = BTreeMap<String, Vec<String>>;

/// Reads the file. A missing file is empty unless the user named it.
pub(super) fn read(path: &Path, named: bool) -> anyhow::Result<FileOptions> {
    let unable = || format!("unable to configure the Docker daemon with file {}", path.display());
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => return Ok(FileOptions::new()),
        Err(error) => return Err(error).with_context(unable),
    };
    parse(&text).with_context(unable)
}

fn parse(text: &str) -> anyhow::Result<FileOptions> {
    if text.trim().is_empty() {
        return Ok(FileOptions::new());
    }
    let entries: BTreeMap<String, Value> = serde_json::from_str(text)?;
    let mut options = FileOptions::new();
    let mut unknown = Vec::new();
    for (key, value) in entries {
        match flags::all().find(|flag| flags::file_key(flag) == key) {
            Some(flag) => drop(options.insert(flag.to_owned(), texts(&key, value)?)),
            None => unknown.push(key),
        }
    }
    if !unknown.is_empty() {
        bail!("the following directives don't match any configuration option: {}", unknown.join(", "));
    }
    Ok(options)
}

fn texts(key: &str, value: Value) -> anyhow::Result<Vec<String>> {
    Ok(match value {
        Value::String(text) => vec![text],
        Value::Bool(flag) => vec![flag.to_string()],
        Value::Number(number) => vec![number.to_string()],
        Value::Array(items) => {
            let strings = items.into_iter().map(|item| match item {
                Value::String(text) => Ok(text),
                other => bail!("{key}: cannot use {other} as a text"),
            });
            strings.collect::<anyhow::Result<_>>()?
        }
        Value::Object(entries) => entries
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok(format!("{name}={text}")),
                other => bail!("{key}: {name}: cannot use {other} as a text"),
            })
            .collect::<anyhow::Result<_>>()?,
        Value::Null => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_dockers() {
        let options =
            parse(r#"{"hosts":["unix:///a"],"debug":true,"mtu":1400,"log-opts":{"max-size":"1m"}}"#).expect("valid");
        assert_eq!(options["host"], ["unix:///a"]);
        assert_eq!(options["debug"], ["true"]);
        assert_eq!(options["mtu"], ["1400"]);
        assert_eq!(options["log-opt"], ["max-size=1m"]);
    }

    #[test]
    fn unknown_keys_and_bad_json_are_refused_with_their_place() {
        let unknown = parse(r#"{"nope":1}"#).expect_err("refused").to_string();
        assert_eq!(unknown, "the following directives don't match any configuration option: nope");
        let malformed = parse("{\n \"debug\": tru }").expect_err("refused").to_string();
        assert!(malformed.contains("line 2"), "{malformed}");
    }
}
