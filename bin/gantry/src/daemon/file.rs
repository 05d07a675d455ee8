//! `daemon.json`: the same settings as the flags, under Docker's keys.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::json::{Json, Place, Value};
use super::setting::Shape;
use super::table;

/// One setting as somebody gave it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    /// Its texts: one for a plain value, `name=value` for a map; none for a setting of its own shape.
    pub texts: Vec<String>,
    /// As Docker's messages show it.
    pub shown: String,
    /// As it stands in the file; `None` when it is a flag's.
    pub json: Option<Json>,
}

/// Settings of a file, by key.
pub(super) type FileSettings = BTreeMap<&'static str, Given>;

/// Reads the file. A missing file is empty unless the user named it.
///
/// # Errors
/// Docker's texts, after the name of the file and with the place in it.
pub(super) fn read(path: &Path, named: bool) -> anyhow::Result<FileSettings> {
    let unable = || format!("unable to configure the Docker daemon with file {}", path.display());
    match std::fs::read(path) {
        Ok(bytes) => parse(&decode(&bytes).with_context(unable)?).with_context(unable),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => Ok(FileSettings::new()),
        Err(error) => {
            let reason = if error.kind() == std::io::ErrorKind::NotFound {
                "no such file or directory".to_owned()
            } else {
                error.to_string()
            };
            bail!("{}: open {}: {reason}", unable(), path.display())
        }
    }
}

/// UTF-8 with or without a byte order mark, or UTF-16 with one, as editors on Windows write it.
fn decode(bytes: &[u8]) -> anyhow::Result<String> {
    let wide = |convert: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| convert([pair[0], pair[1]])).collect();
        String::from_utf16(&units).context("the file is not valid UTF-16")
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).context("the file is not valid UTF-8"),
        _ => String::from_utf8(bytes.to_vec()).context("the file is not valid UTF-8"),
    }
}

fn parse(text: &str) -> anyhow::Result<FileSettings> {
    if text.trim().is_empty() {
        return Ok(FileSettings::new());
    }
    let json = Json::parse(text)?;
    let entries = match json.value {
        Value::Map(entries) => entries,
        Value::Null => return Ok(FileSettings::new()),
        _ => bail!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", json.kind()),
    };
    let mut settings = FileSettings::new();
    let mut unknown = Vec::new();
    for (key, value) in flatten(entries) {
        let Some(setting) = table::by_key(&key) else {
            unknown.push(key);
            continue;
        };
        if value.value == Value::Null {
            continue;
        }
        let texts = texts(&key, setting.shape, &value, text)?;
        let given = Given { texts, shown: value.shown(), json: Some(value.clone()) };
        if settings.insert(setting.key, given).is_some() {
            bail!("the directive {key} is specified twice, the second time at {}", Place::of(text, value.at));
        }
    }
    if !unknown.is_empty() {
        unknown.sort_unstable();
        bail!("the following directives don't match any configuration option: {}", unknown.join(", "));
    }
    Ok(settings)
}

/// The proxies stand in a map of their own.
fn flatten(entries: Vec<(String, Json)>) -> Vec<(String, Json)> {
    let mut flat = Vec::new();
    for (key, value) in entries {
        match value {
            Json { value: Value::Map(inner), .. } if key == "proxies" => flat.extend(inner),
            value => flat.push((key, value)),
        }
    }
    flat
}

fn texts(key: &str, shape: Shape, json: &Json, text: &str) -> anyhow::Result<Vec<String>> {
    let wrong = |found: &Json, wanted: &str| {
        let (kind, place) = (found.kind(), Place::of(text, found.at));
        anyhow::anyhow!("json: cannot unmarshal {kind} into Go struct field Config.{key} of type {wanted} at {place}")
    };
    let string = |item: &Json| match &item.value {
        Value::Text(text) => Ok(text.clone()),
        _ => Err(wrong(item, "string")),
    };
    Ok(match (shape, &json.value) {
        (Shape::Raw, _) => Vec::new(),
        (Shape::Text | Shape::Size, Value::Text(text)) => vec![text.clone()],
        (Shape::Number | Shape::Size, Value::Number(number)) if number.parse::<i64>().is_ok() => vec![number.clone()],
        (Shape::Switch, Value::Bool(on)) => vec![on.to_string()],
        (Shape::List, Value::List(items)) => items.iter().map(string).collect::<anyhow::Result<_>>()?,
        // Foreign runtimes are a map in the file; the table refuses any.
        (Shape::List, Value::Map(_)) if key == "runtimes" => Vec::new(),
        (Shape::Map, Value::Map(entries)) => {
            let pair = |(name, value): &(String, Json)| Ok(format!("{name}={}", string(value)?));
            entries.iter().map(pair).collect::<anyhow::Result<_>>()?
        }
        (Shape::Text, _) => return Err(wrong(json, "string")),
        (Shape::Size, _) => return Err(wrong(json, "opts.MemBytes")),
        (Shape::Number, _) => return Err(wrong(json, "int")),
        (Shape::Switch, _) => return Err(wrong(json, "bool")),
        (Shape::List, _) => return Err(wrong(json, "[]string")),
        (Shape::Map, _) => return Err(wrong(json, "map[string]string")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_dockers() {
        let settings = parse(
            r#"{"hosts":["unix:///a"],"debug":true,"mtu":1400,"log-opts":{"max-size":"1m"},"proxies":{"http-proxy":"http://p"}}"#,
        )
        .expect("valid");
        let texts = |key: &str| settings[key].texts.clone();
        assert_eq!((texts("hosts"), texts("debug")), (vec!["unix:///a".to_owned()], vec!["true".to_owned()]));
        assert_eq!((texts("mtu"), texts("log-opts")), (vec!["1400".to_owned()], vec!["max-size=1m".to_owned()]));
        assert_eq!(texts("http-proxy"), ["http://p"]);
    }

    #[test]
    fn what_does_not_fit_is_told_in_dockers_words() {
        for (text, expected) in [
            ("{\"zed\":2,\"nope\":1}", "the following directives don't match any configuration option: nope, zed"),
            (
                "{\"debug\": \"yes\"}",
                "json: cannot unmarshal string into Go struct field Config.debug of type bool at line 1, column 11",
            ),
            (
                "{\n \"mtu\":1.5}",
                "json: cannot unmarshal number 1.5 into Go struct field Config.mtu of type int at line 2, column 8",
            ),
            (
                "{\"labels\":\"a\"}",
                "json: cannot unmarshal string into Go struct field Config.labels of type []string at line 1, column 11",
            ),
            ("[1]", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
            ("{\"mtu\":1,\"mtu\":2}", "the directive mtu is specified twice, the second time at line 1, column 16"),
        ] {
            assert_eq!(parse(text).err().map(|error| error.to_string()).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn byte_order_marks_are_understood() {
        assert_eq!(decode(b"\xef\xbb\xbf{}").ok().as_deref(), Some("{}"));
        assert_eq!(decode(b"\xff\xfe{\0}\0").ok().as_deref(), Some("{}"));
        assert_eq!(decode(b"\xfe\xff\0{\0}").ok().as_deref(), Some("{}"));
    }
}
