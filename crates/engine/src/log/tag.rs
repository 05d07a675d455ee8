//! The `tag` option: the part of Go's templates that names of log entries are made with.
//!
//! Text, `{{.Field}}` with Docker's fields, `{{index .ContainerLabels "key"}}`, `{{(.ExtraAttributes nil).KEY}}`, string
//! constants, the functions `lower`, `upper`, `title` and `json`, and pipes between them. The rest of the language is
//! refused by name.

use std::collections::BTreeMap;

use super::info::Info;

/// A value in a template.
#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Map(BTreeMap<String, String>),
    List(Vec<String>),
}

/// Fills the template in.
///
/// # Errors
/// In the words of Go's text/template.
pub(super) fn expand(template: &str, info: &Info) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((action, after)) = after.split_once("}}") else {
            return Err("template: log-tag:1: unclosed action".to_owned());
        };
        let trimmed_left = action.starts_with("- ");
        out.push_str(if trimmed_left { before.trim_end() } else { before });
        let action = action.strip_prefix("- ").unwrap_or(action);
        let (action, trimmed_right) = action.strip_suffix(" -").map_or((action, false), |action| (action, true));
        out.push_str(&pipeline(action, info)?.to_string());
        rest = if trimmed_right { after.trim_start() } else { after };
    }
    out.push_str(rest);
    Ok(out)
}

fn pipeline(action: &str, info: &Info) -> Result<Value, String> {
    let words = words(action)?;
    let mut value = None;
    for command in words.split(|word| word == "|") {
        value = Some(evaluate(command, value, info)?);
    }
    value.ok_or_else(|| "template: log-tag:1: missing value for command".to_owned())
}

/// Splits at blanks and pipes, but not inside quotes and parentheses.
fn words(action: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut quoted, mut depth) = (false, 0_u32);
    for c in action.chars() {
        let separates = !quoted && depth == 0 && (c.is_whitespace() || c == '|');
        if separates {
            words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
            words.extend((c == '|').then(|| "|".to_owned()));
            continue;
        }
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.checked_sub(1).ok_or("template: log-tag:1: unexpected right paren")?,
            _ => {}
        }
        word.push(c);
    }
    if quoted {
        return Err("template: log-tag:1: unterminated quoted string".to_owned());
    }
    if depth > 0 {
        return Err("template: log-tag:1: unclosed left paren".to_owned());
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    Ok(words)
}

fn evaluate(command: &[String], piped: Option<Value>, info: &Info) -> Result<Value, String> {
    let Some((first, arguments)) = command.split_first() else {
        return Err("template: log-tag:1: missing value for command".to_owned());
    };
    if !first.starts_with(|c: char| c.is_ascii_alphabetic()) {
        if first == ".ExtraAttributes" {
            return Ok(Value::Map(all_attributes(info)));
        }
        return operand(first, info);
    }
    let mut values = arguments.iter().map(|word| operand(word, info)).collect::<Result<Vec<_>, _>>()?;
    values.extend(piped);
    let text = |change: fn(&str) -> String| match values.as_slice() {
        [Value::Text(text)] => Ok(Value::Text(change(text))),
        _ => Err(format!("template: log-tag:1: wrong arguments for {first}")),
    };
    match first.as_str() {
        "lower" => text(str::to_lowercase),
        "upper" => text(str::to_uppercase),
        "title" => text(title),
        "json" => match values.as_slice() {
            [value] => value.json().map(Value::Text),
            _ => Err("template: log-tag:1: wrong number of args for json".to_owned()),
        },
        "index" => match values.as_slice() {
            [Value::Map(map), Value::Text(key)] => Ok(Value::Text(map.get(key).cloned().unwrap_or_default())),
            [Value::List(list), Value::Text(at)] => {
                let found = at.parse().ok().and_then(|at: usize| list.get(at));
                found.cloned().map(Value::Text).ok_or_else(|| format!("template: log-tag:1: index out of range: {at}"))
            }
            _ => Err("template: log-tag:1: wrong arguments for index".to_owned()),
        },
        "if" | "else" | "end" | "range" | "with" | "define" | "template" | "block" | "printf" | "print" | "println"
        | "split" | "join" | "pad" | "truncate" | "len" | "and" | "or" | "not" | "eq" | "ne" => {
            Err(format!("template: log-tag:1: {first} is not supported in log tags"))
        }
        other => Err(format!("template: log-tag:1: function {other:?} not defined")),
    }
}

fn operand(word: &str, info: &Info) -> Result<Value, String> {
    if let Some(text) = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
        return Ok(Value::Text(text.to_owned()));
    }
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Value::Text(word.to_owned()));
    }
    if let Some((inner, key)) = word.strip_prefix('(').and_then(|word| word.rsplit_once(')')) {
        let value = pipeline(inner, info)?;
        return match (value, key.strip_prefix('.')) {
            (Value::Map(map), Some(key)) => Ok(Value::Text(map.get(key).cloned().unwrap_or("<no value>".to_owned()))),
            (value, None) if key.is_empty() => Ok(value),
            _ => Err(format!("template: log-tag:1: can't evaluate field {}", key.trim_start_matches('.'))),
        };
    }
    let Some(path) = word.strip_prefix('.') else {
        return Err(format!("template: log-tag:1: unexpected {word:?} in operand"));
    };
    let (name, key) = path.split_once('.').map_or((path, None), |(name, key)| (name, Some(key)));
    match (field(name, info), key) {
        (Some(value), None) => Ok(value),
        (Some(Value::Map(map)), Some(key)) => Ok(Value::Text(map.get(key).cloned().unwrap_or("<no value>".to_owned()))),
        _ => Err(format!(
            "template: log-tag:1:2: executing \"log-tag\" at <{word}>: can't evaluate field {name} in type *logger.Info"
        )),
    }
}

fn field(name: &str, info: &Info) -> Option<Value> {
    let text = match name {
        "ID" => info.short_id().to_owned(),
        "FullID" | "ContainerID" => info.id.clone(),
        "Name" => info.name.clone(),
        "ContainerName" => format!("/{}", info.name),
        "ImageID" => info.short_image_id().to_owned(),
        "ImageFullID" | "ContainerImageID" => info.image_id.clone(),
        "ImageName" | "ContainerImageName" => info.image_name.clone(),
        "ContainerEntrypoint" => info.entrypoint.clone(),
        "Command" => info.command(),
        "Hostname" => super::info::hostname(),
        // As Docker's daemon calls itself, so that tags stay what collectors know.
        "DaemonName" => "docker".to_owned(),
        "ContainerArgs" => return Some(Value::List(info.args.clone())),
        "ContainerEnv" => return Some(Value::List(info.env.clone())),
        "ContainerLabels" => return Some(Value::Map(info.labels.clone())),
        _ => return None,
    };
    Some(Value::Text(text))
}

/// Labels and variables alike.
fn all_attributes(info: &Info) -> BTreeMap<String, String> {
    let env = info.env.iter().filter_map(|entry| entry.split_once('='));
    let labels = info.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    labels.chain(env).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn title(text: &str) -> String {
    let mut start = true;
    let capital = |c: char| {
        let c = if start { c.to_ascii_uppercase() } else { c };
        start = c.is_whitespace();
        c
    };
    text.chars().map(capital).collect()
}

impl Value {
    fn json(&self) -> Result<String, String> {
        let text = match self {
            Self::Text(text) => serde_json::to_string(text),
            Self::Map(map) => serde_json::to_string(map),
            Self::List(list) => serde_json::to_string(list),
        };
        text.map_err(|error| error.to_string())
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Map(map) => {
                let pairs: Vec<_> = map.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                write!(f, "map[{}]", pairs.join(" "))
            }
            Self::List(list) => write!(f, "[{}]", list.join(" ")),
        }
    }
}
