//! The shell-like lexer behind every expansion.

use super::pattern::Pattern;
use super::{Error, Expanded, Variables};

/// How words are read. The default is what instructions want: quotes and escapes are taken away.
#[derive(Clone, Copy, Debug)]
pub struct Lexer {
    /// What quotes the next letter: `\`, or another by the directive `escape`.
    pub escape: char,
    /// Quotes stay in the text.
    pub keep_quotes: bool,
    /// Escapes stay in the text.
    pub keep_escapes: bool,
    /// A variable without a value stays as it is written.
    pub keep_unset: bool,
    /// Quotes are letters like others (the bodies of here-documents).
    pub plain_quotes: bool,
}

/// Why a word could not be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// `'` without another.
    #[error("unexpected end of statement while looking for matching single-quote")]
    SingleQuote,
    /// `"` without another.
    #[error("unexpected end of statement while looking for matching double-quote")]
    DoubleQuote,
    /// `${` without `}`.
    #[error("syntax error: missing '}}'")]
    Brace,
    /// `${NAME/pattern` without the second `/`.
    #[error("syntax error: missing '/' in ${{}}")]
    Slash,
    /// `${}`, `${:`, `${{`.
    #[error("syntax error: bad substitution")]
    Substitution,
    /// `${NAME!…}` and the like.
    #[error("unsupported modifier ({0}) in substitution")]
    Modifier(String),
    /// `${NAME#\x}`.
    #[error("invalid pattern ({0}) in substitution: {1}")]
    Pattern(String, String),
    /// More substitutions inside each other than anybody means.
    #[error("syntax error: substitutions are nested too deeply")]
    Depth,
    /// `${NAME:?message}` of a variable without a value.
    #[error("{0}: {1}")]
    Required(String, String),
}

/// One expansion under way.
struct Run<'a, V: Variables + ?Sized> {
    lexer: Lexer,
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    variables: &'a V,
    found: Expanded,
    /// Substitutions around the place that is read.
    depth: usize,
}

/// Substitutions inside each other. Reading them is recursive, and a Dockerfile must not exhaust the stack.
const DEEPEST: usize = 64;

/// Text that is also split into words while it grows.
#[derive(Default)]
struct Words {
    text: String,
    word: String,
    words: Vec<String>,
}

// === impl Lexer ===

impl Default for Lexer {
    fn default() -> Self {
        Self::new('\\')
    }
}

impl Lexer {
    /// A lexer with this escape letter.
    #[must_use]
    pub fn new(escape: char) -> Self {
        Self { escape, keep_quotes: false, keep_escapes: false, keep_unset: false, plain_quotes: false }
    }

    /// Puts values into a word and takes quotes away.
    ///
    /// # Errors
    /// [`Error`] for a word that breaks the syntax, and for `${NAME:?…}`.
    pub fn expand<V: Variables + ?Sized>(&self, word: &str, variables: &V) -> Result<Expanded, Error> {
        let mut run =
            Run { lexer: *self, rest: word.chars().peekable(), variables, found: Expanded::default(), depth: 0 };
        match run.until(None, self.keep_escapes) {
            Ok((text, words)) => Ok(Expanded { text, words, ..run.found }),
            Err(reason) => Err(Error { word: word.to_owned(), reason }),
        }
    }
}

// === impl Run ===

impl<V: Variables + ?Sized> Run<'_, V> {
    /// Reads up to a letter, which is taken as well, or to the end.
    fn until(&mut self, stop: Option<char>, keep_escapes: bool) -> Result<(String, Vec<String>), Reason> {
        let before = std::mem::replace(&mut self.lexer.keep_escapes, keep_escapes);
        let read = self.read_until(stop);
        self.lexer.keep_escapes = before;
        read
    }

    fn read_until(&mut self, stop: Option<char>) -> Result<(String, Vec<String>), Reason> {
        let mut out = Words::default();
        while let Some(&letter) = self.rest.peek() {
            if Some(letter) == stop {
                self.rest.next();
                return Ok(out.finish());
            }
            match letter {
                '$' => out.value(&self.dollar()?),
                '<' => out.whole(&self.angle()),
                '\'' if !self.lexer.plain_quotes => out.whole(&self.single_quoted()?),
                '"' if !self.lexer.plain_quotes => out.whole(&self.double_quoted()?),
                letter if letter == self.lexer.escape => {
                    self.rest.next();
                    if self.lexer.keep_escapes {
                        out.letter(letter);
                    }
                    // At the end of the text it escapes nothing.
                    if let Some(next) = self.rest.next() {
                        out.letter(next);
                    }
                }
                letter => {
                    self.rest.next();
                    out.value(letter.encode_utf8(&mut [0; 4]));
                }
            }
        }
        match stop {
            None => Ok(out.finish()),
            Some('/') => Err(Reason::Slash),
            Some(_) => Err(Reason::Brace),
        }
    }

    /// `<<` with the blanks behind it, which a here-document's word may have before it; or `<`.
    fn angle(&mut self) -> String {
        self.rest.next();
        if self.rest.next_if_eq(&'<').is_none() {
            return "<".to_owned();
        }
        let mut text = "<<".to_owned();
        while let Some(blank) = self.rest.next_if(|letter| letter.is_whitespace()) {
            text.push(blank);
        }
        text
    }

    /// Everything up to the next `'` as it is.
    fn single_quoted(&mut self) -> Result<String, Reason> {
        let mut text = String::new();
        let quote = self.rest.next();
        if self.lexer.keep_quotes {
            text.extend(quote);
        }
        loop {
            match self.rest.next() {
                None => return Err(Reason::SingleQuote),
                Some('\'') => {
                    if self.lexer.keep_quotes {
                        text.push('\'');
                    }
                    return Ok(text);
                }
                Some(letter) => text.push(letter),
            }
        }
    }

    /// Up to the next `"`, with values put in; only `"`, `$` and the escape itself can be escaped.
    fn double_quoted(&mut self) -> Result<String, Reason> {
        let escape = self.lexer.escape;
        let mut text = String::new();
        let quote = self.rest.next();
        if self.lexer.keep_quotes {
            text.extend(quote);
        }
        loop {
            match self.rest.peek() {
                None => return Err(Reason::DoubleQuote),
                Some('"') => {
                    self.rest.next();
                    if self.lexer.keep_quotes {
                        text.push('"');
                    }
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(&letter) if letter == escape => {
                    self.rest.next();
                    if self.lexer.keep_escapes {
                        text.push(letter);
                    }
                    match self.rest.peek() {
                        None => {}
                        Some(&next) if next == '"' || next == '$' || next == escape => {
                            self.rest.next();
                            text.push(next);
                        }
                        // Kept already.
                        Some(_) if self.lexer.keep_escapes => {}
                        Some(_) => text.push(letter),
                    }
                }
                Some(&letter) => {
                    self.rest.next();
                    text.push(letter);
                }
            }
        }
    }

    fn dollar(&mut self) -> Result<String, Reason> {
        self.rest.next();
        if self.rest.next_if_eq(&'{').is_some() {
            if self.depth == DEEPEST {
                return Err(Reason::Depth);
            }
            self.depth += 1;
            let value = self.braced();
            self.depth -= 1;
            return value;
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        Ok(match self.value(&name) {
            None if self.lexer.keep_unset => format!("${name}"),
            value => value.unwrap_or_default(),
        })
    }

    /// What stands behind `${`.
    fn braced(&mut self) -> Result<String, Reason> {
        match self.rest.peek() {
            None => return Err(Reason::Brace),
            Some('{' | '}' | ':') => return Err(Reason::Substitution),
            Some(_) => {}
        }
        let name = self.name();
        match self.rest.next().ok_or(Reason::Brace)? {
            '}' => Ok(match self.value(&name) {
                None if self.lexer.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            ':' => match self.rest.next().ok_or(Reason::Brace)? {
                modifier @ ('-' | '+' | '?') => self.conditional(&name, modifier, true),
                other => Err(Reason::Modifier(format!(":{other}"))),
            },
            modifier @ ('-' | '+' | '?') => self.conditional(&name, modifier, false),
            modifier @ ('#' | '%') => self.trimmed(&name, modifier),
            '/' => self.replaced(&name),
            other => Err(Reason::Modifier(other.to_string())),
        }
    }

    /// `-`, `+`, `?`; behind a colon, an empty value is none.
    fn conditional(&mut self, name: &str, modifier: char, colon: bool) -> Result<String, Reason> {
        let (word, _) = self.until(Some('}'), false)?;
        let value = self.value(name);
        if value.is_none() && self.lexer.keep_unset {
            let colon = if colon { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{modifier}{word}}}"));
        }
        let set = value.clone().filter(|value| !(colon && value.is_empty()));
        match (modifier, set) {
            ('-', set) => Ok(set.unwrap_or(word)),
            ('+', set) => Ok(set.map_or_else(String::new, |_| word)),
            (_, Some(value)) => Ok(value),
            (_, None) => {
                let lacks = if value.is_none() { "is not allowed to be unset" } else { "is not allowed to be empty" };
                let message = if word.is_empty() { lacks.to_owned() } else { word };
                Err(Reason::Required(name.to_owned(), message))
            }
        }
    }

    /// `#`, `##`, `%`, `%%`.
    fn trimmed(&mut self, name: &str, modifier: char) -> Result<String, Reason> {
        let (word, _) = self.until(Some('}'), true)?;
        let Some(value) = self.value(name) else {
            return Ok(if self.lexer.keep_unset { format!("${{{name}{modifier}{word}}}") } else { String::new() });
        };
        let (longest, text) = match word.strip_prefix(modifier) {
            Some(rest) => (true, rest),
            None => (false, word.as_str()),
        };
        let pattern = parse(text)?;
        Ok(match modifier {
            '#' => pattern.without_prefix(&value, longest),
            _ => pattern.without_suffix(&value, longest),
        })
    }

    /// `/pattern/text` and `//pattern/text`.
    fn replaced(&mut self, name: &str) -> Result<String, Reason> {
        let all = self.rest.next_if_eq(&'/').is_some();
        let (text, _) = self.until(Some('/'), true)?;
        let (replacement, _) = self.until(Some('}'), true)?;
        let Some(value) = self.value(name) else {
            let slashes = if all { "//" } else { "/" };
            let kept = || format!("${{{name}{slashes}{text}/{replacement}}}");
            return Ok(if self.lexer.keep_unset { kept() } else { String::new() });
        };
        Ok(parse(&text)?.replace(&value, &replacement, all))
    }

    /// A name of letters, digits and `_`; a number; or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.rest.peek() {
            Some(letter) if letter.is_numeric() => {
                while let Some(digit) = self.rest.next_if(|letter| letter.is_numeric()) {
                    name.push(digit);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.rest.next()),
            _ => {
                while let Some(letter) = self.rest.next_if(|&letter| letter.is_alphanumeric() || letter == '_') {
                    name.push(letter);
                }
            }
        }
        name
    }

    fn value(&mut self, name: &str) -> Option<String> {
        let value = self.variables.value(name).map(str::to_owned);
        let seen = if value.is_some() { &mut self.found.used } else { &mut self.found.missing };
        seen.insert(name.to_owned());
        value
    }
}

fn parse(text: &str) -> Result<Pattern, Reason> {
    Pattern::parse(text).map_err(|error| Reason::Pattern(text.to_owned(), error.to_string()))
}

// === impl Words ===

impl Words {
    /// Text that white space splits.
    fn value(&mut self, text: &str) {
        self.text.push_str(text);
        for letter in text.chars() {
            if !letter.is_whitespace() {
                self.word.push(letter);
            } else if !self.word.is_empty() {
                self.words.push(std::mem::take(&mut self.word));
            }
        }
    }

    /// Quoted text.
    fn whole(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    /// An escaped letter.
    fn letter(&mut self, letter: char) {
        self.text.push(letter);
        self.word.push(letter);
    }

    fn finish(mut self) -> (String, Vec<String>) {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        (self.text, self.words)
    }
}
