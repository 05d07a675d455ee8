//! JSON that remembers where it stood: a reader with Docker's texts for what is malformed, and the place added.

use std::fmt;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Json {
    /// Byte offset in the text.
    pub at: usize,
    /// What it is.
    pub value: Value,
}

/// What stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    /// In the order of the file; a name may occur twice.
    Map(Vec<(String, Json)>),
}

/// Why a text is not JSON, in the words of the library that Docker uses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} at {place}")]
pub(super) struct Malformed {
    text: String,
    place: Place,
}

/// A place in a text, as people count: from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    column: usize,
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

// === impl Place ===

impl Place {
    /// The place of a byte offset.
    pub(super) fn of(text: &str, at: usize) -> Self {
        let before = &text.as_bytes()[..at.min(text.len())];
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        Self { line: before.iter().filter(|byte| **byte == b'\n').count() + 1, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

// === impl Json ===

impl Json {
    /// Reads one value that is the whole text.
    ///
    /// # Errors
    /// [`Malformed`] at the first character that does not belong there.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value()?;
        reader.blanks();
        match reader.peek() {
            None => Ok(value),
            Some(_) => Err(reader.unexpected("after top-level value")),
        }
    }

    /// What Go calls the kind of value; a number is named with it.
    pub(super) fn kind(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(text) if text.contains(['.', 'e', 'E']) => format!("number {text}"),
            Value::Number(_) => "number".to_owned(),
            Value::Text(_) => "string".to_owned(),
            Value::List(_) => "array".to_owned(),
            Value::Map(_) => "object".to_owned(),
        }
    }

    /// The value as Go prints it with `%v`.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            Value::Null => "<nil>".to_owned(),
            Value::Bool(on) => on.to_string(),
            Value::Number(text) | Value::Text(text) => text.clone(),
            Value::List(items) => {
                format!("[{}]", items.iter().map(Self::shown).collect::<Vec<_>>().join(" "))
            }
            Value::Map(entries) => {
                let mut pairs: Vec<String> =
                    entries.iter().map(|(name, value)| format!("{name}:{}", value.shown())).collect();
                pairs.sort_unstable();
                format!("map[{}]", pairs.join(" "))
            }
        }
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn value(&mut self) -> Result<Json, Malformed> {
        self.blanks();
        let at = self.at;
        let value = match self.peek() {
            Some('{') => self.map()?,
            Some('[') => self.list()?,
            Some('"') => Value::Text(self.string()?),
            Some('t') => self.word("true", Value::Bool(true))?,
            Some('f') => self.word("false", Value::Bool(false))?,
            Some('n') => self.word("null", Value::Null)?,
            Some('-' | '0'..='9') => self.number()?,
            _ => return Err(self.unexpected("looking for beginning of value")),
        };
        Ok(Json { at, value })
    }

    fn map(&mut self) -> Result<Value, Malformed> {
        self.at += 1;
        let mut entries = Vec::new();
        self.blanks();
        if self.take('}') {
            return Ok(Value::Map(entries));
        }
        loop {
            self.blanks();
            if self.peek() != Some('"') {
                return Err(self.unexpected("looking for beginning of object key string"));
            }
            let name = self.string()?;
            self.blanks();
            if !self.take(':') {
                return Err(self.unexpected("after object key"));
            }
            entries.push((name, self.value()?));
            self.blanks();
            if self.take('}') {
                return Ok(Value::Map(entries));
            }
            if !self.take(',') {
                return Err(self.unexpected("after object key:value pair"));
            }
        }
    }

    fn list(&mut self) -> Result<Value, Malformed> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.take(']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            self.blanks();
            if self.take(']') {
                return Ok(Value::List(items));
            }
            if !self.take(',') {
                return Err(self.unexpected("after array element"));
            }
        }
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, Malformed> {
        for letter in word.chars() {
            if !self.take(letter) {
                return Err(self.unexpected(&format!("in literal {word} (expecting '{letter}')")));
            }
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, Malformed> {
        let start = self.at;
        self.take('-');
        if !self.take('0') && self.digits() == 0 {
            return Err(self.unexpected("in numeric literal"));
        }
        if self.take('.') && self.digits() == 0 {
            return Err(self.unexpected("after decimal point in numeric literal"));
        }
        if self.take('e') || self.take('E') {
            let _signed = self.take('+') || self.take('-');
            if self.digits() == 0 {
                return Err(self.unexpected("in exponent of numeric literal"));
            }
        }
        Ok(Value::Number(self.text[start..self.at].to_owned()))
    }

    fn digits(&mut self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn string(&mut self) -> Result<String, Malformed> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some('"') => break,
                Some('\\') => self.escape()?,
                Some(letter) if letter >= ' ' => self.at += letter.len_utf8(),
                _ => return Err(self.unexpected("in string literal")),
            }
        }
        self.at += 1;
        // The extent is known to be a string; what is left to go wrong are surrogates that stand alone.
        let decoded = serde_json::from_str(&self.text[start..self.at]);
        decoded.map_err(|_| Malformed { text: "invalid surrogate pair".to_owned(), place: Place::of(self.text, start) })
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        match self.peek() {
            Some('b' | 'f' | 'n' | 'r' | 't' | '\\' | '/' | '"') => self.at += 1,
            Some('u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|letter| letter.is_ascii_hexdigit()) {
                        return Err(self.unexpected("in \\u hexadecimal character escape"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.unexpected("in string escape code")),
        }
        Ok(())
    }

    fn blanks(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, letter: char) -> bool {
        let there = self.peek() == Some(letter);
        if there {
            self.at += letter.len_utf8();
        }
        there
    }

    fn unexpected(&self, context: &str) -> Malformed {
        let place = Place::of(self.text, self.at);
        let text = match self.peek() {
            None => "unexpected EOF".to_owned(),
            Some('\'') => format!("invalid character '\\'' {context}"),
            Some('"') => format!("invalid character '\"' {context}"),
            Some(letter) => format!("invalid character '{}' {context}", letter.escape_debug()),
        };
        Malformed { text, place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_malformed_is_told_in_dockers_words_with_its_place() {
        for (text, expected) in [
            ("{\"debug\": tru }", "invalid character ' ' in literal true (expecting 'e') at line 1, column 14"),
            ("{\"a\":1,\n}", "invalid character '}' looking for beginning of object key string at line 2, column 1"),
            ("{\"a\":1", "unexpected EOF at line 1, column 7"),
            ("{'a'}", "invalid character '\\'' looking for beginning of object key string at line 1, column 2"),
            ("{\"a\" 1}", "invalid character '1' after object key at line 1, column 6"),
            ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair at line 1, column 8"),
            ("[1 2]", "invalid character '2' after array element at line 1, column 4"),
            ("{} x", "invalid character 'x' after top-level value at line 1, column 4"),
            ("\"a\nb\"", "invalid character '\\n' in string literal at line 1, column 3"),
            ("\"\\x\"", "invalid character 'x' in string escape code at line 1, column 3"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal at line 1, column 3"),
        ] {
            assert_eq!(Json::parse(text).err().map(|error| error.to_string()).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn values_are_read_and_shown_as_go_shows_them() {
        let json = Json::parse(" {\"b\":[\"x\\u0041\",1.5],\"a\":{\"z\":null,\"y\":true}} ").expect("valid");
        assert_eq!(json.shown(), "map[a:map[y:true z:<nil>] b:[xA 1.5]]");
        let Value::Map(entries) = &json.value else { panic!("a map") };
        assert_eq!((entries[1].0.as_str(), entries[1].1.at), ("a", 26));
    }
}
