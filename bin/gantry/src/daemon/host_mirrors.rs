//! Mirrors of registries besides the hub, a setting of our own.

use std::collections::BTreeMap;

use super::json::{Json, Value};
use super::merged::Merged;
use super::values::{field, mirror};

const KEY: &str = "registry-host-mirrors";

/// What the file says, checked.
pub(super) fn of(merged: &Merged) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let given = merged.get(KEY).and_then(|given| given.json.as_ref());
    let table = given.map(table).transpose().map_err(|message| merged.invalid(KEY, &message))?;
    Ok(table.unwrap_or_default())
}

/// `{"quay.io": ["https://mirror.example/quay/"]}`.
fn table(json: &Json) -> Result<BTreeMap<String, Vec<String>>, String> {
    let Value::Map(entries) = &json.value else { return Err(field(json, KEY, "map[string][]string")) };
    let mut table = BTreeMap::new();
    for (host, json) in entries {
        let Value::List(items) = &json.value else { return Err(field(json, KEY, "[]string")) };
        if host.is_empty() || host.contains(['/', ' ', '?', '#', '@']) {
            return Err(format!("invalid registry {host:?}: want host or host:port, as in the names of images"));
        }
        let name = if matches!(host.as_str(), "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
        let url = |item: &Json| match &item.value {
            Value::Text(text) => mirror(text),
            _ => Err(field(item, KEY, "string")),
        };
        let urls = items.iter().map(url).collect::<Result<Vec<_>, _>>()?;
        table.entry(name.to_owned()).or_insert_with(Vec::new).extend(urls);
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
        table(&Json::parse(text).expect("JSON"))
    }

    #[test]
    fn each_registry_has_its_mirrors() {
        let found = read(r#"{"quay.io": ["https://a.example/quay", "http://127.0.0.1:5000"], "index.docker.io": []}"#);
        let found = found.expect("a table");
        assert_eq!(found["quay.io"], ["https://a.example/quay/", "http://127.0.0.1:5000/"]);
        assert!(found.contains_key("docker.io"));
        for (text, words) in [
            (
                "[]",
                "json: cannot unmarshal array into Go struct field Config.registry-host-mirrors of type map[string][]string",
            ),
            (r#"{"a/b": []}"#, "invalid registry \"a/b\": want host or host:port, as in the names of images"),
            (r#"{"a": ["ftp://x"]}"#, "invalid mirror: unsupported scheme \"ftp\" in \"ftp://x\""),
        ] {
            assert_eq!(read(text), Err(words.to_owned()));
        }
    }
}
