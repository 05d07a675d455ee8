//! The budget of images, a setting of our own: `{"max-size": "20GB", "keep": ["web*", "label=keep"], "interval": "10m"}`.

use std::time::Duration;

use engine::GcConfig;

use super::json::{Json, Value};
use super::merged::Merged;
use super::values::field;

const KEY: &str = "gc";
const INTERVAL: Duration = Duration::from_secs(600);
const LEAST: Duration = Duration::from_secs(1);

/// What the file says, checked; `None` where nothing is to be collected.
pub(super) fn of(merged: &Merged) -> anyhow::Result<Option<GcConfig>> {
    let given = merged.get(KEY).and_then(|given| given.json.as_ref());
    given.map(read).transpose().map_err(|message| merged.invalid(KEY, &message))
}

fn read(json: &Json) -> Result<GcConfig, String> {
    let Value::Map(entries) = &json.value else { return Err(field(json, KEY, "map[string]interface {}")) };
    let (mut max_size, mut keep, mut interval) = (None, Vec::new(), INTERVAL);
    for (name, json) in entries {
        match (name.as_str(), &json.value) {
            ("max-size", Value::Text(text) | Value::Number(text)) => {
                let bytes = types::parse_size(text, 1000).map_err(|error| format!("invalid gc.max-size: {error}"))?;
                max_size = Some(bytes);
            }
            ("keep", Value::List(items)) => keep = items.iter().map(pattern).collect::<Result<_, _>>()?,
            ("interval", Value::Text(text)) => {
                interval = types::parse_go_duration(text).map_err(|error| format!("invalid gc.interval: {error}"))?;
                if interval < LEAST {
                    return Err(format!("invalid gc.interval: {text} is less than 1s"));
                }
            }
            ("max-size" | "interval", _) => return Err(field(json, &format!("{KEY}.{name}"), "string")),
            ("keep", _) => return Err(field(json, "gc.keep", "[]string")),
            _ => return Err(format!("unknown key gc.{name}: known are max-size, keep and interval")),
        }
    }
    let max_size = max_size.ok_or("gc.max-size is missing: how much may images take, for example \"20GB\"?")?;
    Ok(GcConfig { max_size, keep, interval })
}

fn pattern(json: &Json) -> Result<String, String> {
    match &json.value {
        Value::Text(text) if engine::is_gc_pattern(text) => Ok(text.clone()),
        Value::Text(text) => Err(format!("invalid gc.keep: {text:?} is no pattern of names")),
        _ => Err(field(json, "gc.keep", "[]string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_read_and_checked() {
        let read = |text: &str| read(&Json::parse(text).expect("JSON"));
        let gc = read(r#"{"max-size": "20GB", "keep": ["web*", "label=keep"], "interval": "30s"}"#).expect("valid");
        assert_eq!((gc.max_size, gc.keep.len(), gc.interval.as_secs()), (20_000_000_000, 2, 30));
        assert_eq!(read(r#"{"max-size": 5000}"#).map(|gc| (gc.max_size, gc.interval.as_secs())), Ok((5000, 600)));
        for (text, words) in [
            ("[]", "json: cannot unmarshal array into Go struct field Config.gc of type map[string]interface {}"),
            ("{}", "gc.max-size is missing: how much may images take, for example \"20GB\"?"),
            (r#"{"max-size": "much"}"#, "invalid gc.max-size: invalid size: 'much'"),
            (
                r#"{"max-size": true}"#,
                "json: cannot unmarshal bool into Go struct field Config.gc.max-size of type string",
            ),
            (r#"{"max-size": "1GB", "interval": "0s"}"#, "invalid gc.interval: 0s is less than 1s"),
            (r#"{"max-size": "1GB", "keep": ["["]}"#, "invalid gc.keep: \"[\" is no pattern of names"),
            (
                r#"{"max-size": "1GB", "keep": "web"}"#,
                "json: cannot unmarshal string into Go struct field Config.gc.keep of type []string",
            ),
            (r#"{"max-size": "1GB", "kepp": []}"#, "unknown key gc.kepp: known are max-size, keep and interval"),
        ] {
            assert_eq!(read(text).err().as_deref(), Some(words), "{text}");
        }
    }
}
