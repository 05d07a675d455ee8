//! One logical line, taken apart: the instruction's word, its flags, its arguments in the form they have.

use serde_json::Value;

/// The parts of a logical line.
#[derive(Clone, Debug)]
pub(super) struct Parts<'a> {
    pub(super) word: &'a str,
    pub(super) flags: Vec<String>,
    /// What is behind the flags, without white space around it.
    pub(super) rest: &'a str,
}

/// White space between words of a line.
const BLANKS: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// Takes the instruction's word and the flags off a line.
pub(super) fn parts(line: &str, escape: char) -> Parts<'_> {
    let line = line.trim();
    let Some((word, rest)) = line.split_once(BLANKS) else {
        return Parts { word: line, flags: Vec::new(), rest: "" };
    };
    let (flags, rest) = flags(rest, escape);
    Parts { word, flags, rest: rest.trim() }
}

/// The leading words that begin with `--`, without quotes and escapes, and what follows them. `--` alone ends them.
fn flags(line: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = line.trim_start();
    while rest.starts_with("--") {
        let (flag, after) = flag(rest, escape);
        if flag == "--" {
            return (flags, after);
        }
        flags.push(flag);
        rest = after.trim_start();
    }
    (flags, rest)
}

fn flag(text: &str, escape: char) -> (String, &str) {
    let (mut word, mut quote) = (String::new(), None);
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match quote {
            None if letter.is_whitespace() => return (word, &text[at..]),
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            Some(open) if letter == open => quote = None,
            _ if letter == escape => word.extend(letters.next().map(|(_, letter)| letter)),
            _ => word.push(letter),
        }
    }
    (word, "")
}

/// Splits at blanks; a quoted blank splits as well.
pub(super) fn fields(text: &str) -> Vec<String> {
    text.split(BLANKS).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Splits at unquoted white space; quotes and escapes stay in the words.
pub(super) fn words(text: &str, escape: char) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match quote {
            None if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            Some(open) if letter == open => quote = None,
            _ => {}
        }
        if letter == escape && quote != Some('\'') {
            // An escape at the very end is dropped.
            if let Some(next) = letters.next() {
                word.extend([letter, next]);
            }
        } else {
            word.push(letter);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The JSON form of arguments.
pub(super) enum Json {
    /// An array of texts.
    Array(Vec<String>),
    /// An array with something else in it: an error everywhere.
    NotTexts,
    /// No JSON array: the other form of the instruction.
    No,
}

/// Reads `["a", "b"]`.
pub(super) fn json(text: &str) -> Json {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Json::No;
    }
    let Ok(Value::Array(values)) = serde_json::from_str(text) else { return Json::No };
    let texts = values.into_iter().map(|value| match value {
        Value::String(text) => Some(text),
        _ => None,
    });
    texts.collect::<Option<_>>().map_or(Json::NotTexts, Json::Array)
}

/// A first word and all behind it.
pub(super) fn halves(text: &str) -> Option<(&str, &str)> {
    let (first, rest) = text.split_once(BLANKS)?;
    Some((first, rest.trim_start_matches(BLANKS)))
}
