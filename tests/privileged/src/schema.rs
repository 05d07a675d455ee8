//! What answers must look like: `tests/privileged/schema/1.51.txt` is the reference of the API as a table, [`Schema`]
//! holds an answer against it.
//!
//! ```text
//! METHOD PATH STATUS SHAPE      an answer
//!
//! NAME                          an object with these members, and no others
//!   member SHAPE
//!   !member SHAPE               always there
//!
//! NAME = SHAPE                  another name
//! ```
//!
//! A SHAPE is `string`, `string(a|b)` (one of these), `integer`, `number`, `boolean`, `any`, `[SHAPE]` (a list),
//! `{SHAPE}` (a map), or a NAME; `?` behind it takes `null` too. Lists, maps and objects may always be `null`: that is
//! how Go writes what is empty.

use std::collections::BTreeMap;

use serde_json::Value;

/// The table.
#[derive(Debug, Default)]
pub struct Schema {
    answers: Vec<(String, String)>,
    types: BTreeMap<String, Type>,
}

#[derive(Debug)]
enum Type {
    Object(Vec<Member>),
    Alias(String),
}

#[derive(Debug)]
struct Member {
    name: String,
    shape: String,
    required: bool,
}

// === impl Schema ===

impl Schema {
    /// Parses the table.
    ///
    /// # Panics
    /// At a line that is not of the grammar.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut schema = Self::default();
        let mut current = String::new();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match (line.starts_with(' '), words.as_slice()) {
                (true, [name, shape]) => {
                    let (name, required) = name.strip_prefix('!').map_or((*name, false), |name| (name, true));
                    let member = Member { name: name.to_owned(), shape: (*shape).to_owned(), required };
                    match schema.types.get_mut(&current) {
                        Some(Type::Object(members)) => members.push(member),
                        _ => panic!("a member of nothing: {line}"),
                    }
                }
                (false, [name]) => {
                    current = (*name).to_owned();
                    schema.types.insert(current.clone(), Type::Object(Vec::new()));
                }
                (false, [name, "=", shape]) => {
                    schema.types.insert((*name).to_owned(), Type::Alias((*shape).to_owned()));
                }
                (false, [method, path, status, shape]) => {
                    schema.answers.push((format!("{method} {path} {status}"), (*shape).to_owned()));
                }
                _ => panic!("not of the grammar: {line}"),
            }
        }
        schema
    }

    /// What is wrong with an answer; `answer` is for example `GET /containers/{id}/json 200`.
    ///
    /// # Panics
    /// When the table does not know the answer.
    #[must_use]
    pub fn check(&self, answer: &str, value: &Value) -> Vec<String> {
        let found = self.answers.iter().find(|(title, _)| title == answer);
        let (_, shape) = found.unwrap_or_else(|| panic!("the reference has no {answer}"));
        let mut wrong = Vec::new();
        self.walk("$", shape, value, &mut wrong);
        wrong.sort();
        wrong.dedup();
        wrong.into_iter().map(|what| format!("{answer}: {what}")).collect()
    }

    fn walk(&self, path: &str, shape: &str, value: &Value, wrong: &mut Vec<String>) {
        let (shape, nullable) = shape.strip_suffix('?').map_or((shape, false), |shape| (shape, true));
        if value.is_null() && (nullable || !is_scalar(shape)) {
            return;
        }
        if let Some(inner) = inside(shape, '[', ']') {
            match value.as_array() {
                Some(items) => items.iter().for_each(|item| self.walk(&format!("{path}[]"), inner, item, wrong)),
                None => wrong.push(format!("{path} is no list: {value}")),
            }
        } else if let Some(inner) = inside(shape, '{', '}') {
            match value.as_object() {
                Some(members) => members.values().for_each(|one| self.walk(&format!("{path}.*"), inner, one, wrong)),
                None => wrong.push(format!("{path} is no map: {value}")),
            }
        } else if is_scalar(shape) {
            if !fits(shape, value) {
                wrong.push(format!("{path} is no {shape}: {value}"));
            }
        } else {
            match &self.types[shape] {
                Type::Alias(other) => self.walk(path, other, value, wrong),
                Type::Object(members) => self.walk_object(path, members, value, wrong),
            }
        }
    }

    fn walk_object(&self, path: &str, members: &[Member], value: &Value, wrong: &mut Vec<String>) {
        let Some(object) = value.as_object() else {
            wrong.push(format!("{path} is no object: {value}"));
            return;
        };
        for member in members {
            match object.get(&member.name) {
                Some(value) => self.walk(&format!("{path}.{}", member.name), &member.shape, value, wrong),
                None if member.required => wrong.push(format!("{path}.{} is missing", member.name)),
                None => {}
            }
        }
        let unknown = object.keys().filter(|key| members.iter().all(|member| member.name != **key));
        wrong.extend(unknown.map(|key| format!("{path}.{key} is not of the reference: {}", object[key])));
    }
}

fn is_scalar(shape: &str) -> bool {
    matches!(shape, "integer" | "number" | "boolean" | "any") || shape == "string" || shape.starts_with("string(")
}

fn fits(shape: &str, value: &Value) -> bool {
    match shape {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "any" => true,
        _ => {
            let words = shape.strip_prefix("string(").and_then(|rest| rest.strip_suffix(')')).unwrap_or_default();
            value.as_str().is_some_and(|text| words.split('|').any(|word| word == text))
        }
    }
}

fn inside(shape: &str, open: char, close: char) -> Option<&str> {
    shape.strip_prefix(open)?.strip_suffix(close)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shapes_are_checked_at_any_depth() {
        let schema = Schema::parse(
            "# x\nGET /a 200 [A]\n\nA\n  !Id string\n  N integer?\n  S string(|on|off)\n  M {B}\n\nB = C\n\nC\n  X [string]\n",
        );
        let good = json!([{"Id": "a", "N": null, "S": "", "M": {"k": {"X": ["y"]}, "l": {"X": null}}}, {"Id": "b", "M": null}]);
        assert_eq!(schema.check("GET /a 200", &good), Vec::<String>::new());
        let bad = json!([{"N": "1", "S": "no", "M": {"k": {"X": [1], "Z": 2}}, "Id": null}, {}]);
        let expected = [
            "$[].Id is missing",
            "$[].Id is no string: null",
            "$[].M.*.X[] is no string: 1",
            "$[].M.*.Z is not of the reference: 2",
            "$[].N is no integer: \"1\"",
            "$[].S is no string(|on|off): \"no\"",
        ];
        assert_eq!(schema.check("GET /a 200", &bad), expected.map(|what| format!("GET /a 200: {what}")));
    }
}
