//! The functions that templates may call.

use std::cmp::Ordering;

use super::Functions;
use crate::format::json;
use crate::format::number::{shortest, significant};
use crate::format::text::quote;
use crate::format::value::Value;

/// Why a call failed.
pub(super) enum Failure {
    /// The number of arguments.
    Count {
        /// As the error text words it.
        want: &'static str,
        /// How many were given.
        got: usize,
    },
    /// The function's own words.
    Call(String),
}

const NAMES: [&str; 27] = [
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "js", "urlquery", "eq", "ne",
    "lt", "le", "gt", "ge", "json", "split", "join", "title", "lower", "upper", "pad", "truncate", "call",
];

pub(super) fn is_function(name: &str) -> bool {
    NAMES.contains(&name)
}

pub(super) fn call(name: &str, args: Vec<Value>, functions: Functions) -> Result<Value, Failure> {
    if functions == Functions::Header
        && matches!(name, "json" | "split" | "join" | "title" | "lower" | "upper" | "truncate")
    {
        // Titles pass through whatever reshapes the cells below them; with a pipe the text comes last.
        return Ok(args.into_iter().find(|arg| matches!(arg, Value::Text(_))).unwrap_or_default());
    }
    match (name, args.as_slice()) {
        ("not", [value]) => Ok(Value::Bool(!value.is_true())),
        ("len", [value]) => length(value),
        ("index", [value, keys @ ..]) => keys.iter().try_fold(value.clone(), |value, key| index(&value, key)),
        ("slice", [value, bounds @ ..]) => slice(value, bounds),
        ("print", args) => Ok(Value::Text(print(args))),
        ("println", args) => {
            let texts: Vec<String> = args.iter().map(Value::to_string).collect();
            Ok(Value::Text(format!("{}\n", texts.join(" "))))
        }
        ("printf", [format, args @ ..]) => Ok(Value::Text(printf(format.as_str(), args))),
        ("html", args) => Ok(Value::Text(escape_html(&print(args)))),
        ("js", args) => Ok(Value::Text(quote(&print(args)).trim_matches('"').to_owned())),
        ("urlquery", args) => Ok(Value::Text(client::escape(&print(args)).replace("%20", "+"))),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            Ok(Value::Bool(others.iter().any(|other| compare(first, other) == Some(Ordering::Equal))))
        }
        ("ne", [a, b]) => Ok(Value::Bool(compare(a, b) != Some(Ordering::Equal))),
        ("lt", [a, b]) => order(a, b).map(|order| Value::Bool(order.is_lt())),
        ("le", [a, b]) => order(a, b).map(|order| Value::Bool(order.is_le())),
        ("gt", [a, b]) => order(a, b).map(|order| Value::Bool(order.is_gt())),
        ("ge", [a, b]) => order(a, b).map(|order| Value::Bool(order.is_ge())),
        ("json", [value]) => Ok(Value::Text(json::write(value, false))),
        ("split", [text, separator]) => Ok(split(text.as_str(), separator.as_str())),
        ("join", [list, separator]) => {
            let texts: Vec<String> = list.items().iter().map(Value::to_string).collect();
            Ok(Value::Text(texts.join(separator.as_str())))
        }
        ("title", [text]) => Ok(Value::Text(title(text.as_str()))),
        ("lower", [text]) => Ok(Value::Text(text.as_str().to_lowercase())),
        ("upper", [text]) => Ok(Value::Text(text.as_str().to_uppercase())),
        ("pad", [text, before, after]) => Ok(Value::Text(pad(text.as_str(), before, after))),
        ("truncate", [text, length]) => {
            let length = usize::try_from(length.as_i64()).unwrap_or(0);
            Ok(Value::Text(text.as_str().get(..length).unwrap_or(text.as_str()).to_owned()))
        }
        ("call", _) => Err(Failure::Call("no function to call".to_owned())),
        (name, args) => Err(Failure::Count { want: wanted(name), got: args.len() }),
    }
}

fn wanted(name: &str) -> &'static str {
    match name {
        "not" | "len" | "json" | "title" | "lower" | "upper" => "1",
        "pad" => "3",
        "index" | "slice" | "printf" | "eq" => "at least 1",
        _ => "2",
    }
}

fn length(value: &Value) -> Result<Value, Failure> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        other => return Err(Failure::Call(format!("len of type {other}"))),
    };
    Ok(Value::Int(length as i128))
}

fn index(value: &Value, key: &Value) -> Result<Value, Failure> {
    match (value, key) {
        (Value::Map(map), Value::Text(key)) => Ok(match map.get(key) {
            Some(value) => value.clone(),
            None if map.values().all(|value| matches!(value, Value::Text(_))) => Value::Text(String::new()),
            None => Value::Nil,
        }),
        (Value::List(items), Value::Int(at)) => usize::try_from(*at)
            .ok()
            .and_then(|at| items.get(at))
            .cloned()
            .ok_or_else(|| Failure::Call(format!("reflect: slice index out of range: {at}"))),
        (Value::Text(text), Value::Int(at)) => usize::try_from(*at)
            .ok()
            .and_then(|at| text.as_bytes().get(at))
            .map(|byte| Value::Int(i128::from(*byte)))
            .ok_or_else(|| Failure::Call(format!("index out of range: {at}"))),
        (Value::Nil, _) => Err(Failure::Call("index of untyped nil".to_owned())),
        (_, key) => Err(Failure::Call(format!("can't index item with {key}"))),
    }
}

fn slice(value: &Value, bounds: &[Value]) -> Result<Value, Failure> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        _ => return Err(Failure::Call("can't slice item of this type".to_owned())),
    };
    let bound = |at: usize, default: usize| {
        bounds.get(at).map_or(Some(default), |value| usize::try_from(value.as_i64()).ok().filter(|b| *b <= length))
    };
    let range = bound(0, 0).zip(bound(1, length)).filter(|(from, to)| from <= to);
    let (from, to) = range.ok_or_else(|| Failure::Call("index out of range".to_owned()))?;
    Ok(match value {
        Value::Text(text) => Value::Text(text.get(from..to).unwrap_or_default().to_owned()),
        _ => Value::List(value.items()[from..to].to_vec()),
    })
}

/// Spaces between operands only when neither is a text.
fn print(args: &[Value]) -> String {
    let mut out = String::new();
    for (at, arg) in args.iter().enumerate() {
        let text = |value: &Value| matches!(value, Value::Text(_));
        if at > 0 && !text(arg) && !text(&args[at - 1]) {
            out.push(' ');
        }
        out.push_str(&arg.to_string());
    }
    out
}

/// `%[flags][width][.precision]verb` with the verbs `v s q d x X o b t f g e c U T %`.
fn printf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut args = args.iter();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let mut spec = String::new();
        while let Some(next) = letters.next_if(|c| "+-# 0123456789.".contains(*c)) {
            spec.push(next);
        }
        match letters.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match args.next() {
                Some(arg) => out.push_str(&verb_text(verb, &spec, arg)),
                None => out.push_str(&format!("%!{verb}(MISSING)")),
            },
        }
    }
    let extra: Vec<String> = args.map(|arg| format!("{arg}")).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn verb_text(verb: char, spec: &str, arg: &Value) -> String {
    let left = spec.contains('-');
    let digits = spec.trim_start_matches(['+', '-', '#', ' ', '0']);
    let zero = spec.trim_start_matches(['+', '-', '#', ' ']).starts_with('0') && !left;
    let (width, precision) = digits.split_once('.').map_or((digits, None), |(w, p)| (w, Some(p)));
    let precision = precision.map(|p| p.parse::<usize>().unwrap_or(0));
    let float = || match arg {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        _ => 0.0,
    };
    let text = match (verb, arg) {
        ('s' | 'v', Value::Text(text)) => match precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.clone(),
        },
        ('v', other) => other.to_string(),
        ('s', Value::Int(number)) => format!("%!s(int={number})"),
        ('s', Value::Bool(value)) => format!("%!s(bool={value})"),
        ('s', other) => other.to_string(),
        ('q', other) => quote(&other.to_string()),
        ('d', Value::Int(number)) if spec.contains('+') => format!("{number:+}"),
        ('d', Value::Int(number)) => number.to_string(),
        ('x', Value::Int(number)) => format!("{number:x}"),
        ('X', Value::Int(number)) => format!("{number:X}"),
        ('o', Value::Int(number)) => format!("{number:o}"),
        ('b', Value::Int(number)) => format!("{number:b}"),
        ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('t', Value::Bool(value)) => value.to_string(),
        ('f', Value::Int(_) | Value::Float(_)) => format!("{:.*}", precision.unwrap_or(6), float()),
        ('g', Value::Int(_) | Value::Float(_)) => {
            precision.map_or_else(|| shortest(float()), |precision| significant(float(), precision))
        }
        ('c', Value::Int(number)) => {
            u32::try_from(*number).ok().and_then(char::from_u32).map(String::from).unwrap_or_default()
        }
        (verb, other) => format!("%!{verb}({other})"),
    };
    let width: usize = width.parse().unwrap_or(0);
    let missing = width.saturating_sub(text.chars().count());
    match (left, zero) {
        (true, _) => format!("{text}{}", " ".repeat(missing)),
        (_, true) => format!("{}{text}", "0".repeat(missing)),
        _ => format!("{}{text}", " ".repeat(missing)),
    }
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Nil, Value::Nil) => Some(Ordering::Equal),
        _ => None,
    }
}

fn order(a: &Value, b: &Value) -> Result<Ordering, Failure> {
    compare(a, b).ok_or_else(|| Failure::Call("incompatible types for comparison".to_owned()))
}

fn split(text: &str, separator: &str) -> Value {
    let parts: Vec<Value> = if separator.is_empty() {
        text.chars().map(|letter| Value::Text(letter.to_string())).collect()
    } else {
        text.split(separator).map(Value::from).collect()
    };
    Value::List(parts)
}

fn title(text: &str) -> String {
    let mut start = true;
    let letters = text.chars().map(|letter| {
        let shown = if start { letter.to_uppercase().collect::<String>() } else { letter.to_string() };
        start = !(letter.is_alphanumeric() || letter == '_');
        shown
    });
    letters.collect()
}

fn pad(text: &str, before: &Value, after: &Value) -> String {
    if text.is_empty() {
        return String::new();
    }
    let spaces = |value: &Value| " ".repeat(usize::try_from(value.as_i64()).unwrap_or(0));
    format!("{}{text}{}", spaces(before), spaces(after))
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;").replace('\'', "&#39;")
}
