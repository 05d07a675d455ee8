//! JSON text: writing ordered values, and re-indenting text without touching its tokens.

use super::number::shortest;
use super::value::Value;

/// Writes compact JSON. With `html`, `<`, `>` and `&` are escaped, as Go does by default.
#[must_use]
pub fn write(value: &Value, html: bool) -> String {
    let mut out = String::new();
    put(&mut out, value, html);
    out
}

/// Re-indents JSON text with `indent`, keeping every token as it is. Empty objects and lists stay on one line.
#[must_use]
pub fn indent(text: &str, indent: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut fresh = false;
    walk(text, |token| {
        let first = token.as_bytes()[0];
        let closes = matches!(first, b'}' | b']');
        if fresh && !closes {
            depth += 1;
            line(&mut out, indent, depth);
        }
        match first {
            b'{' | b'[' => {
                out.push_str(token);
                fresh = true;
                return;
            }
            b'}' | b']' => {
                if !fresh {
                    depth -= 1;
                    line(&mut out, indent, depth);
                }
                out.push_str(token);
            }
            b',' => {
                out.push(',');
                line(&mut out, indent, depth);
            }
            b':' => out.push_str(": "),
            _ => out.push_str(token),
        }
        fresh = false;
    });
    out
}

/// JSON text without the spaces between its tokens.
#[must_use]
pub fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    walk(text, |token| out.push_str(token));
    out
}

/// Writes one JSON string.
pub fn put_string(out: &mut String, text: &str, html: bool) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '<' | '>' | '&' if html => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            control if u32::from(control) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

fn put(out: &mut String, value: &Value, html: bool) {
    match value {
        Value::Nil | Value::Missing => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&shortest(*number)),
        Value::Text(text) => put_string(out, text, html),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                put(out, item, html);
            }
            out.push(']');
        }
        Value::Map(map) => put_entries(out, map.iter().map(|(key, value)| (key.as_str(), value)), html),
        Value::Row(row) => {
            // A row is written through a Go map, whose keys come out sorted and escaped.
            let mut fields: Vec<(&str, &Value)> = row.fields.iter().map(|(key, value)| (*key, value)).collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            put_entries(out, fields.into_iter(), true);
        }
    }
}

fn put_entries<'a>(out: &mut String, entries: impl Iterator<Item = (&'a str, &'a Value)>, html: bool) {
    out.push('{');
    for (index, (key, value)) in entries.enumerate() {
        if index > 0 {
            out.push(',');
        }
        put_string(out, key, html);
        out.push(':');
        put(out, value, html);
    }
    out.push('}');
}

fn line(out: &mut String, indent: &str, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(indent, depth));
}

/// Calls `visit` with every token of valid JSON text.
fn walk(text: &str, mut visit: impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => at += 1,
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            _ => {
                while at < bytes.len() && !b" \t\n\r{}[],:\"".contains(&bytes[at]) {
                    at += 1;
                }
            }
        }
        visit(text.get(start..at).unwrap_or_default());
        if at > bytes.len() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indents_without_touching_tokens() {
        let text = r#"[{"b":1.50,"a":[],"c":{},"d":["x","y, {"],"e":{"f":null}}]"#;
        let indented = indent(text, "    ");
        assert_eq!(
            indented,
            "[\n    {\n        \"b\": 1.50,\n        \"a\": [],\n        \"c\": {},\n        \"d\": [\n            \"x\",\n            \"y, {\"\n        ],\n        \"e\": {\n            \"f\": null\n        }\n    }\n]"
        );
        assert_eq!(compact(&indented), text);
    }

    #[test]
    fn keeps_key_order_when_writing() {
        let value: Value = serde_json::from_str(r#"{"z":"<a>","a":[1,2.5,true,null]}"#).expect("valid");
        assert_eq!(write(&value, false), r#"{"z":"<a>","a":[1,2.5,true,null]}"#);
        assert_eq!(write(&value, true), r#"{"z":"\u003ca\u003e","a":[1,2.5,true,null]}"#);
    }
}
