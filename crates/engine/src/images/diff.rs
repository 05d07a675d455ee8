//! What distinguishes two images: their files and layers as the store compares them, and their configurations.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use store::{Image, ImageDiff};

use crate::engine::Engine;
use crate::error::Error;

/// Two images side by side.
#[derive(Clone, Debug)]
pub struct ImageComparison {
    /// The first.
    pub from: Arc<Image>,
    /// The second.
    pub to: Arc<Image>,
    /// Their files and layers.
    pub diff: ImageDiff,
    /// What differs in what they say about themselves, by key.
    pub config: Vec<ConfigDifference>,
}

/// A part of the configuration that is not the same in both: `Cmd`, `Env PATH`, `Labels version`, `Architecture`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigDifference {
    /// The part.
    pub key: String,
    /// Its value in the first image; none when it has none.
    pub from: Option<Value>,
    /// Its value in the second image; none when it has none.
    pub to: Option<Value>,
}

impl Engine {
    /// Compares two images.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn image_diff(self: &Arc<Self>, from: &str, to: &str) -> Result<ImageComparison, Error> {
        let (engine, from, to) = (Arc::clone(self), from.to_owned(), to.to_owned());
        self.blocking(move || {
            let (from, to) = (engine.find_image(&from)?, engine.find_image(&to)?);
            let diff = engine.store.image_diff(&from, &to)?;
            let config = differences(parts(&from.raw), parts(&to.raw));
            Ok(ImageComparison { from, to, diff, config })
        })
        .await
    }
}

fn differences(mut from: BTreeMap<String, Value>, to: BTreeMap<String, Value>) -> Vec<ConfigDifference> {
    let mut found = Vec::new();
    for (key, value) in to {
        let before = from.remove(&key);
        if before.as_ref() != Some(&value) {
            found.push(ConfigDifference { key, from: before, to: Some(value) });
        }
    }
    found.extend(from.into_iter().map(|(key, value)| ConfigDifference { key, from: Some(value), to: None }));
    found.sort_by(|one, other| one.key.cmp(&other.key));
    found
}

/// A configuration document (OCI image-spec, config.md) as its parts: variables, labels, ports and volumes one by one.
fn parts(document: &[u8]) -> BTreeMap<String, Value> {
    // A document that was taken in can be read.
    let document: Value = serde_json::from_slice(document).unwrap_or_default();
    let mut parts = BTreeMap::new();
    for (member, key) in [("architecture", "Architecture"), ("os", "Os"), ("variant", "Variant"), ("author", "Author")]
    {
        parts.insert(key.to_owned(), document[member].clone());
    }
    for (key, value) in document["config"].as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("Env", Value::Array(variables)) => {
                for (name, value) in variables.iter().filter_map(|text| text.as_str()?.split_once('=')) {
                    parts.insert(format!("Env {name}"), Value::from(value));
                }
            }
            ("Labels" | "ExposedPorts" | "Volumes", Value::Object(members)) => {
                parts.extend(members.iter().map(|(name, value)| (format!("{key} {name}"), value.clone())));
            }
            _ => drop(parts.insert(key.clone(), value.clone())),
        }
    }
    let says_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        _ => false,
    };
    parts.retain(|key, value| key.contains(' ') || !says_nothing(value));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_differ_part_by_part() {
        let from = br#"{"architecture":"amd64","os":"linux","config":{"Env":["A=1","B=2"],"Cmd":["sh"],"User":""}}"#;
        let to =
            br#"{"architecture":"arm64","os":"linux","config":{"Env":["A=1","B=3"],"Labels":{"x":""},"Cmd":null}}"#;
        let found = differences(parts(from), parts(to));
        let lines: Vec<String> = found
            .iter()
            .map(|part| {
                let text = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), ToString::to_string);
                format!("{} {} {}", part.key, text(&part.from), text(&part.to))
            })
            .collect();
        assert_eq!(
            lines,
            [r#"Architecture "amd64" "arm64""#, r#"Cmd ["sh"] -"#, r#"Env B "2" "3""#, r#"Labels x - """#]
        );
    }
}
