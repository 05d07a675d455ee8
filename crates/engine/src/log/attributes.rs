//! The labels and variables that go with each entry: `labels`, `labels-regex`, `env`, `env-regex`.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::info::Info;
use super::options::{Options, initialising};

/// What the options choose.
pub(super) fn of(options: &Options<'_>, info: &Info) -> Result<BTreeMap<String, String>, String> {
    let mut chosen = BTreeMap::new();
    let mut take = |key: &str, value: &str| {
        chosen.insert(key.to_owned(), value.to_owned());
    };
    let listed = |name: &str| options.text(name).into_iter().flat_map(|text| text.split(','));
    for label in listed("labels") {
        if let Some(value) = info.labels.get(label) {
            take(label, value);
        }
    }
    if let Some(expression) = expression(options, "labels-regex")? {
        info.labels.iter().filter(|(key, _)| expression.is_match(key)).for_each(|(key, value)| take(key, value));
    }
    for name in listed("env") {
        if let Some(value) = info.variable(name) {
            take(name, value);
        }
    }
    if let Some(expression) = expression(options, "env-regex")? {
        for (key, _) in info.env.iter().filter_map(|entry| entry.split_once('=')) {
            if expression.is_match(key) {
                take(key, info.variable(key).unwrap_or_default());
            }
        }
    }
    Ok(chosen)
}

fn expression(options: &Options<'_>, name: &str) -> Result<Option<Regex>, String> {
    let Some(text) = options.text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    match Regex::new(text) {
        Ok(expression) => Ok(Some(expression)),
        Err(error) => {
            let why = match error.to_string() {
                why if why.contains("group") && why.contains("clos") => "missing closing )".to_owned(),
                why => why,
            };
            Err(initialising(&format!("error parsing regexp: {why}: `{text}`")))
        }
    }
}
