//! Two answers, field by field.

use base64::Engine as _;
use serde_json::Value;

use super::normal::Normal;
use super::script::Step;
use crate::http::Answer;

/// Headers that clients look at.
const HEADERS: [&str; 11] = [
    "builder-version",
    "cache-control",
    "content-type",
    "docker-experimental",
    "location",
    "ostype",
    "pragma",
    "swarm",
    "upgrade",
    "x-content-type-options",
    "x-docker-container-path-stat",
];

/// One field that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Title of the step.
    pub step: String,
    /// File and line of the step.
    pub place: String,
    /// `status`, `header NAME`, or a path such as `$.HostConfig.Binds` (`[]` for any place in a list,
    /// `[-]` and `[+]` for what only the reference or only Gantry lists).
    pub field: String,
    /// What the reference answered; `-` for nothing.
    pub reference: String,
    /// What Gantry answered.
    pub gantry: String,
}

/// Compares; the reference comes first.
pub fn compare(step: &Step, reference: (&Answer, &Normal), gantry: (&Answer, &Normal)) -> Vec<Difference> {
    let mut fields = Vec::new();
    let status = |answer: &Answer| Some(answer.status.to_string());
    push(&mut fields, "status", status(reference.0), status(gantry.0));
    for name in HEADERS {
        let header =
            |(answer, normal): (&Answer, &Normal)| answer.header(name).map(|text| normal.text(&readable(text)));
        push(&mut fields, &format!("header {name}"), header(reference), header(gantry));
    }
    if !step.no_body {
        let (left, right) = (body(step, reference), body(step, gantry));
        match (left, right) {
            (Ok(left), Ok(right)) => compare_json(&mut fields, "$", Some(&left), Some(&right)),
            (left, right) => push(&mut fields, "body", Some(either(left)), Some(either(right))),
        }
    }
    let difference = |(field, reference, gantry)| Difference {
        step: step.title(),
        place: step.place.clone(),
        field,
        reference,
        gantry,
    };
    fields.into_iter().map(difference).collect()
}

type Field = (String, String, String);

fn push(fields: &mut Vec<Field>, name: &str, reference: Option<String>, gantry: Option<String>) {
    if reference != gantry {
        let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        fields.push((name.to_owned(), shown(reference), shown(gantry)));
    }
}

/// The body as JSON (a list when it is several values), or as text.
fn body(step: &Step, (answer, normal): (&Answer, &Normal)) -> Result<Value, String> {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let json = answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(&text).into_iter().collect();
    match values {
        Ok(values) if json => {
            let mut values: Vec<Value> = values.iter().map(|value| normal.json("", value)).collect();
            let mut value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
            if let (true, Value::Array(items)) = (step.unordered, &mut value) {
                items.sort_by_key(ToString::to_string);
            }
            Ok(value)
        }
        _ => Err(format!("{:?}", normal.text(&text))),
    }
}

fn either(body: Result<Value, String>) -> String {
    body.map_or_else(|text| text, |value| value.to_string())
}

fn compare_json(fields: &mut Vec<Field>, path: &str, reference: Option<&Value>, gantry: Option<&Value>) {
    match (reference, gantry) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let more = right.keys().filter(|key| !left.contains_key(*key));
            for key in left.keys().chain(more) {
                compare_json(fields, &format!("{path}.{key}"), left.get(key), right.get(key));
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) if left.len() == right.len() => {
            for (left, right) in left.iter().zip(right) {
                compare_json(fields, &format!("{path}[]"), Some(left), Some(right));
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            // Of lists of another length, what only one of them has; what is the same thing is compared.
            let mut others: Vec<&Value> = right.iter().collect();
            for item in left {
                match others.iter().position(|other| same_thing(item, other)) {
                    Some(at) => compare_json(fields, &format!("{path}[]"), Some(item), Some(others.remove(at))),
                    None => push(fields, &format!("{path}[-]"), Some(item.to_string()), None),
                }
            }
            for item in others {
                push(fields, &format!("{path}[+]"), None, Some(item.to_string()));
            }
        }
        _ => push(fields, path, reference.map(ToString::to_string), gantry.map(ToString::to_string)),
    }
}

/// What a header says, where it is JSON in base64.
fn readable(text: &str) -> String {
    let decoded = base64::engine::general_purpose::STANDARD.decode(text).ok();
    let json = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|json| json.starts_with('{'));
    json.unwrap_or_else(|| text.to_owned())
}

/// Whether two members of lists are the same, or called the same.
fn same_thing(left: &Value, right: &Value) -> bool {
    // The ids of things that no step named are all alike.
    let named = |value: &Value, key: &str| value.get(key).filter(|name| **name != "<id>").cloned();
    let called = |value: &Value| ["Id", "ID", "Name", "Destination"].iter().find_map(|key| named(value, key));
    left == right || called(left).is_some_and(|name| Some(name) == called(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Answer { status, headers, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn every_field_that_differs_is_told_once() {
        let normal = Normal::new(&[]);
        let step = Step { method: "GET".to_owned(), path: "/x".to_owned(), ..Step::default() };
        let left = answer(200, r#"{"A":1,"B":[{"C":true}],"D":null}"#);
        let right = answer(201, r#"{"A":1,"B":[{"C":false}],"E":"x"}"#);
        let found = compare(&step, (&left, &normal), (&right, &normal));
        let fields: Vec<_> =
            found.iter().map(|one| (one.field.as_str(), one.reference.as_str(), one.gantry.as_str())).collect();
        let expected =
            [("status", "200", "201"), ("$.B[].C", "true", "false"), ("$.D", "null", "-"), ("$.E", "-", "\"x\"")];
        assert_eq!(fields, expected);
        assert!(compare(&step, (&left, &normal), (&left, &normal)).is_empty());
    }
}
