//! The `filters` of a query.

use std::collections::BTreeMap;

use engine::Filters;
use serde::Deserialize;

use crate::failure::Failure;

/// Both forms of values: a list, and the set that clients from before API 1.22 send.
#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    List(Vec<String>),
    Set(BTreeMap<String, bool>),
}

/// Decodes `{"key":["value"]}` or `{"key":{"value":true}}`.
///
/// # Errors
/// 400 `invalid filter`.
pub fn filters(text: Option<&str>) -> Result<Filters, Failure> {
    let Some(text) = text else { return Ok(Filters::new()) };
    let parsed: Option<BTreeMap<String, Values>> =
        serde_json::from_str(text).map_err(|_| Failure::invalid("invalid filter"))?;
    let parsed = parsed.unwrap_or_default();
    let values = |values| match values {
        Values::List(list) => list,
        Values::Set(set) => set.into_iter().filter(|(_, wanted)| *wanted).map(|(value, _)| value).collect(),
    };
    Ok(parsed.into_iter().map(|(key, wanted)| (key, values(wanted))).collect())
}
