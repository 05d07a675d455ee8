//! Cutting a template into texts and tokens.

use super::Error;

/// One token inside `{{ }}`, or a text outside.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// A run of white space inside an action: it separates arguments from field chains.
    Space,
    Word(String),
    /// `.name`
    Field(String),
    /// `.`
    Dot,
    /// `$name`
    Variable(String),
    Quoted(String),
    Number(String),
    Pipe,
    Left,
    Right,
    Comma,
    Declare,
    Assign,
}

/// A token and the bytes it spans.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spanned {
    pub token: Token,
    pub start: usize,
    pub end: usize,
}

pub(super) fn line_of(source: &str, at: usize) -> usize {
    source.get(..at).unwrap_or(source).matches('\n').count() + 1
}

pub(super) fn lex(source: &str) -> Result<Vec<Spanned>, Error> {
    let mut lexer = Lexer { source, at: 0, tokens: Vec::new() };
    let mut trim = false;
    while let Some(found) = source[lexer.at..].find("{{") {
        let open = lexer.at + found;
        let trims_before = is_trim_left(&source[open + 2..]);
        let mut text = &source[lexer.at..open];
        if trim {
            text = text.trim_start();
        }
        if trims_before {
            text = text.trim_end();
        }
        lexer.text(text);
        lexer.at = open + 2 + usize::from(trims_before);
        trim = if source[lexer.at..].trim_start().starts_with("/*") {
            lexer.comment()?
        } else {
            lexer.push(Token::Open, open);
            lexer.action()?
        };
    }
    let rest = &source[lexer.at..];
    lexer.text(if trim { rest.trim_start() } else { rest });
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    tokens: Vec<Spanned>,
}

impl Lexer<'_> {
    fn push(&mut self, token: Token, start: usize) {
        self.tokens.push(Spanned { token, start, end: self.at });
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.push(Token::Text(text.to_owned()), self.at);
        }
    }

    fn error(&self, at: usize, detail: impl Into<String>) -> Error {
        Error::Parse { line: line_of(self.source, at), detail: detail.into() }
    }

    /// Skips a comment; true when it trims what follows.
    fn comment(&mut self) -> Result<bool, Error> {
        let rest = &self.source[self.at..];
        let end = rest.find("*/").ok_or_else(|| self.error(self.at, "unclosed comment"))?;
        let after = rest[end + 2..].trim_start();
        let skipped = rest.len() - after.len();
        for (close, trims) in [("-}}", true), ("}}", false)] {
            if after.starts_with(close) {
                self.at += skipped + close.len();
                return Ok(trims);
            }
        }
        Err(self.error(self.at, "comment ends before closing delimiter"))
    }

    /// Reads tokens up to `}}`; true when it trims what follows.
    fn action(&mut self) -> Result<bool, Error> {
        loop {
            let rest = &self.source[self.at..];
            let start = self.at;
            if rest.starts_with("}}") {
                self.at += 2;
                self.push(Token::Close, start);
                return Ok(false);
            }
            if is_trim_right(rest) {
                self.at += rest.len() - rest.trim_start().len() + 3;
                self.push(Token::Close, start);
                return Ok(true);
            }
            let Some(first) = rest.chars().next() else { return Err(self.error(start, "unclosed action")) };
            self.token(first, rest, start)?;
        }
    }

    fn token(&mut self, first: char, rest: &str, start: usize) -> Result<(), Error> {
        let simple = match first {
            '|' => Some((Token::Pipe, 1)),
            '(' => Some((Token::Left, 1)),
            ')' => Some((Token::Right, 1)),
            ',' => Some((Token::Comma, 1)),
            ':' if rest.starts_with(":=") => Some((Token::Declare, 2)),
            '=' => Some((Token::Assign, 1)),
            _ => None,
        };
        if let Some((token, length)) = simple {
            self.at += length;
            self.push(token, start);
            return Ok(());
        }
        match first {
            c if c.is_whitespace() => {
                self.at += rest.len() - rest.trim_start().len();
                self.push(Token::Space, start);
            }
            '"' | '`' | '\'' => self.quoted(first, rest, start)?,
            '.' => {
                let name = word(&rest[1..]);
                self.at += 1 + name.len();
                let token = if name.is_empty() { Token::Dot } else { Token::Field(name.to_owned()) };
                self.push(token, start);
            }
            '$' => {
                let name = word(&rest[1..]);
                self.at += 1 + name.len();
                self.push(Token::Variable(name.to_owned()), start);
            }
            c if c.is_ascii_digit()
                || ((c == '-' || c == '+') && rest[1..].starts_with(|d: char| d.is_ascii_digit())) =>
            {
                let length = 1 + rest[1..]
                    .find(|d: char| !(d.is_ascii_alphanumeric() || d == '.' || d == '_'))
                    .unwrap_or(rest.len() - 1);
                self.at += length;
                self.push(Token::Number(rest[..length].to_owned()), start);
            }
            c if c.is_alphabetic() || c == '_' => {
                let name = word(rest);
                self.at += name.len();
                self.push(Token::Word(name.to_owned()), start);
            }
            other => {
                return Err(self.error(
                    start,
                    format!("unexpected unrecognized character in action: U+{:04X} {other:?}", u32::from(other)),
                ));
            }
        }
        Ok(())
    }

    fn quoted(&mut self, quote: char, rest: &str, start: usize) -> Result<(), Error> {
        let body = &rest[1..];
        let mut text = String::new();
        let mut letters = body.char_indices();
        while let Some((at, letter)) = letters.next() {
            if letter == quote {
                self.at += 1 + at + 1;
                let token = match quote {
                    '\'' => Token::Number(text.chars().next().map_or(0, u32::from).to_string()),
                    _ => Token::Quoted(text),
                };
                self.push(token, start);
                return Ok(());
            }
            if letter == '\\' && quote != '`' {
                text.push(match letters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 't')) => '\t',
                    Some((_, 'r')) => '\r',
                    Some((_, other)) => other,
                    None => break,
                });
                continue;
            }
            if letter == '\n' && quote != '`' {
                break;
            }
            text.push(letter);
        }
        let kind = match quote {
            '"' => "unterminated quoted string",
            '`' => "unterminated raw quoted string",
            _ => "unterminated character constant",
        };
        Err(self.error(start, kind))
    }
}

/// `- ` after `{{`.
fn is_trim_left(after: &str) -> bool {
    after.starts_with('-') && after[1..].starts_with(char::is_whitespace)
}

/// ` -}}`.
fn is_trim_right(rest: &str) -> bool {
    rest.starts_with(char::is_whitespace) && rest.trim_start().starts_with("-}}")
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}
