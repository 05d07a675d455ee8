//! Options of the `json-file` log driver (`--log-opt`).

use std::collections::BTreeMap;

use crate::error::{Error, Invalid};
use crate::model::{ContainerSpec, LogConfig};

/// What the options mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct JsonFileOptions {
    /// Bytes at which the file is rotated; `None` for never.
    pub max_size: Option<u64>,
    /// Files kept.
    pub max_file: u32,
}

/// Parses and checks.
///
/// # Errors
/// [`Invalid::LogValue`].
pub(crate) fn parse(log: &LogConfig) -> Result<JsonFileOptions, Error> {
    let option = |name: &str| log.options.get(name).map(|text| (name.to_owned(), text.clone()));
    let invalid = |(name, text): (String, String)| Error::from(Invalid::LogValue(name, text));
    let max_size = match option("max-size") {
        Some((_, text)) if text == "-1" => None,
        Some(entry) => Some(parse_size(&entry.1).ok_or_else(|| invalid(entry))?),
        None => None,
    };
    let max_file = match option("max-file") {
        Some(entry) => entry.1.parse().ok().filter(|count| *count >= 1).ok_or_else(|| invalid(entry))?,
        None => 1,
    };
    if max_file > 1 && max_size.is_none() {
        return Err(Invalid::LogRotation.into());
    }
    if option("compress").is_some_and(|(_, text)| text != "false") {
        return Err(Invalid::Unsupported("--log-opt compress").into());
    }
    for name in ["labels-regex", "env-regex", "tag"] {
        if log.options.contains_key(name) {
            return Err(Invalid::Unsupported("--log-opt labels-regex, env-regex and tag").into());
        }
    }
    Ok(JsonFileOptions { max_size, max_file })
}

/// The labels and variables that `labels` and `env` name, for `logs --details`.
pub(crate) fn attributes(spec: &ContainerSpec) -> BTreeMap<String, String> {
    let listed = |name: &str| spec.host.log.options.get(name).cloned().unwrap_or_default();
    let mut attributes = BTreeMap::new();
    for label in listed("labels").split(',') {
        if let Some(value) = spec.config.labels.get(label) {
            attributes.insert(label.to_owned(), value.clone());
        }
    }
    for name in listed("env").split(',').filter(|name| !name.is_empty()) {
        let value = spec.config.env.iter().find_map(|entry| entry.split_once('=').filter(|(key, _)| *key == name));
        if let Some((_, value)) = value {
            attributes.insert(name.to_owned(), value.to_owned());
        }
    }
    attributes
}

/// `10m`, `20kb`, `1g`: powers of 1024, as go-units' `RAMInBytes`.
fn parse_size(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let bare = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (digits, shift) = match bare.as_bytes().last()? {
        b'k' => (&bare[..bare.len() - 1], 10),
        b'm' => (&bare[..bare.len() - 1], 20),
        b'g' => (&bare[..bare.len() - 1], 30),
        b't' => (&bare[..bare.len() - 1], 40),
        _ => (bare, 0),
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << shift).filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [("10m", 10 << 20), ("20kb", 20 << 10), ("1GiB", 1 << 30), ("512", 512)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "m", "-1", "ten", "0"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
