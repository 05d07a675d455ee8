//! `--default-network-opt DRIVER=KEY=VALUE`: driver options of networks that do not say otherwise.

use std::collections::BTreeMap;

use super::json::{Json, Value};
use super::merged::Merged;
use super::values::field;

const KEY: &str = "default-network-opts";

/// By driver.
type Options = BTreeMap<String, BTreeMap<String, String>>;

/// The options. Those of a driver that is not there do nothing until it is.
pub(super) fn read(merged: &Merged) -> anyhow::Result<Options> {
    let pairs = match merged.get(KEY).and_then(|given| given.json.as_ref()) {
        Some(json) => from_file(json).map_err(|message| merged.invalid(KEY, &message))?,
        None => merged.all(KEY, from_flag)?,
    };
    let mut options = Options::new();
    for (driver, key, value) in pairs {
        options.entry(driver).or_default().insert(key, value);
    }
    Ok(options)
}

fn from_flag(text: &str) -> Result<(String, String, String), String> {
    let words = text.split_once('=').and_then(|(driver, rest)| Some((driver, rest.split_once('=')?)));
    let (driver, (key, value)) =
        words.ok_or_else(|| format!("invalid value {text:?} for map option, should be root-key=key=value"))?;
    Ok((driver.to_owned(), key.to_owned(), value.to_owned()))
}

fn from_file(json: &Json) -> Result<Vec<(String, String, String)>, String> {
    let Value::Map(drivers) = &json.value else { return Err(field(json, KEY, "map[string]map[string]string")) };
    let mut read = Vec::new();
    for (driver, options) in drivers {
        let Value::Map(options) = &options.value else { return Err(field(options, KEY, "map[string]string")) };
        for (key, value) in options {
            let Value::Text(text) = &value.value else { return Err(field(value, KEY, "string")) };
            read.push((driver.clone(), key.clone(), text.clone()));
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn flag_and_file_say_the_same() {
        let one = ("bridge".to_owned(), "a.b".to_owned(), "1=2".to_owned());
        assert_eq!(from_flag("bridge=a.b=1=2"), Ok(one.clone()));
        assert_eq!(from_file(&Json::parse(r#"{"bridge":{"a.b":"1=2"}}"#).unwrap()), Ok(vec![one]));
        assert!(from_flag("bridge=a").is_err());
        assert!(from_file(&Json::parse(r#"{"bridge":{"a":1}}"#).unwrap()).is_err());
    }
}
