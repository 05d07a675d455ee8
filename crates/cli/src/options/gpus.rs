//! `--gpus`, and `--device` with a CDI name.

use serde_json::{Map, Value, json};

use super::keyvalue;

/// Reads `all`, a number, or `count=N|device=A,B,driver=…,capabilities=…,options=…` as comma separated fields, quoted
/// where they hold commas.
///
/// # Errors
/// Docker's text.
pub fn parse(text: &str) -> Result<Value, String> {
    let (mut driver, mut count, mut ids) = ("", None, Vec::new());
    let mut capabilities = vec!["gpu".to_owned()];
    let mut options = Map::new();
    let mut seen: Vec<String> = Vec::new();
    let fields = fields(text)?;
    for field in &fields {
        let (key, value) = match field.split_once('=') {
            Some(pair) => pair,
            None => ("count", field.as_str()),
        };
        if seen.iter().any(|known| known == key) {
            return Err(format!("gpu request key '{key}' can be specified only once"));
        }
        seen.push(key.to_owned());
        match key {
            "driver" => driver = value,
            "count" => count = Some(number(value)?),
            "device" => ids = value.split(',').map(str::to_owned).collect(),
            "capabilities" => capabilities.extend(value.split(',').map(str::to_owned)),
            "options" => {
                let words: Vec<&str> = value.split(',').collect();
                options = keyvalue::map(&words).into_iter().map(|(key, value)| (key, json!(value))).collect();
            }
            other => return Err(format!("unexpected key '{other}' in '{field}'")),
        }
    }
    // Docker's default is one, unless devices are named.
    let count = count.unwrap_or(if ids.is_empty() { 1 } else { 0 });
    let ids = if ids.is_empty() { Value::Null } else { json!(ids) };
    Ok(
        json!({ "Driver": driver, "Count": count, "DeviceIDs": ids, "Capabilities": [capabilities], "Options": options }),
    )
}

/// For the flag table.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(|_| ())
}

/// Whether a `--device` is the name of a CDI device: `vendor.com/class=name`.
#[must_use]
pub fn is_cdi(text: &str) -> bool {
    let word = |text: &str, inner: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || inner.contains(c))
    };
    let parts = text.split_once('=').and_then(|(kind, name)| Some((kind.split_once('/')?, name)));
    parts.is_some_and(|((vendor, class), name)| word(vendor, "_-.") && word(class, "_-") && word(name, "_-.:"))
}

fn number(value: &str) -> Result<i64, String> {
    match value {
        "all" => Ok(-1),
        digits => digits.parse().map_err(|_| {
            format!("invalid count ({value}): value must be either \"all\" or an integer: invalid syntax")
        }),
    }
}

/// One line of comma separated values; a doubled quote within quotes is one.
fn fields(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Err("EOF".to_owned());
    }
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' if quoted || field.is_empty() => quoted = !quoted,
            '"' => return Err("parse error on line 1: bare \" in non-quoted field".to_owned()),
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    fields.push(field);
    if quoted { Err("parse error on line 1: extraneous or missing \" in quoted-field".to_owned()) } else { Ok(fields) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_docker_reads_them() {
        let read = |text: &str| parse(text).map(|value| (value["Count"].clone(), value["DeviceIDs"].clone()));
        assert_eq!(read("all"), Ok((json!(-1), Value::Null)));
        assert_eq!(read("2"), Ok((json!(2), Value::Null)));
        assert_eq!(read("\"device=0,2\""), Ok((json!(0), json!(["0", "2"]))));
        let value = parse("driver=nvidia,\"capabilities=utility,video\"").expect("valid");
        assert_eq!(value["Capabilities"], json!([["gpu", "utility", "video"]]));
        assert_eq!((&value["Driver"], &value["Count"]), (&json!("nvidia"), &json!(1)));
        assert!(parse("x").is_err() && parse("count=1,count=2").is_err() && parse("nope=1").is_err());
    }

    #[test]
    fn names_of_devices_are_no_paths() {
        assert!(is_cdi("vendor.com/class=name") && is_cdi("nvidia.com/gpu=all"));
        assert!(!is_cdi("/dev/fuse") && !is_cdi("/dev/a=b:/dev/c") && !is_cdi("v/c="));
    }
}
