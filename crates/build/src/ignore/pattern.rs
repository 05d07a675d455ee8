//! One pattern of a `.dockerignore`.

/// A pattern, compiled.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// As it is compared and shown: cleaned, without `!`.
    pub(super) text: String,
    /// It began with `!`: what it matches is kept.
    pub(super) exception: bool,
    form: Form,
}

/// How it is compared. Docker treats simple forms as text, which for `**x` means something else than its rule for `**`.
#[derive(Clone, Debug)]
enum Form {
    /// The very text.
    Exact,
    /// Everything that begins with this.
    Prefix(String),
    /// Everything that ends with this.
    Suffix(String),
    /// Token by token.
    Tokens(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Letter(char),
    /// `?`: any letter but `/`.
    One,
    /// `*`: any letters but `/`.
    Star,
    /// `**/`: any directories, or none.
    Directories,
    /// `**` at the end: anything.
    Rest,
    /// `[a-z]`, `[^a-z]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

// === impl Pattern ===

impl Pattern {
    /// Compiles a cleaned pattern that is not empty; `None` when its syntax is wrong.
    pub(super) fn compile(text: &str, exception: bool) -> Option<Self> {
        let tokens = tokens(text)?;
        let plain = |tokens: &[Token]| tokens.iter().all(|token| matches!(token, Token::Letter(_)));
        let form = if text.contains(['\\', '[', ']']) {
            Form::Tokens(tokens)
        } else {
            match &tokens[..] {
                all if plain(all) => Form::Exact,
                // `**/a` and `**a` are endings, `a/**` and `a**` beginnings.
                [Token::Directories | Token::Rest, rest @ ..] if plain(rest) => Form::Suffix(text[2..].to_owned()),
                [start @ .., Token::Rest] if plain(start) => Form::Prefix(text[..text.len() - 2].to_owned()),
                _ => Form::Tokens(tokens),
            }
        };
        Some(Self { text: text.to_owned(), exception, form })
    }

    /// Whether the path itself matches, its parents aside.
    pub(super) fn matches(&self, path: &str) -> bool {
        match &self.form {
            Form::Exact => path == self.text,
            Form::Prefix(start) => path.starts_with(start.as_str()),
            Form::Suffix(end) => path.ends_with(end.as_str()) || end.strip_prefix('/') == Some(path),
            Form::Tokens(tokens) => reached(tokens, path).last() == Some(&true),
        }
    }

    /// Whether something below a directory may match.
    pub(super) fn may_match_below(&self, directory: &str) -> bool {
        let below = format!("{directory}/");
        match &self.form {
            Form::Exact => self.text.starts_with(&below),
            Form::Prefix(start) => start.starts_with(&below) || below.starts_with(start.as_str()),
            Form::Suffix(_) => true,
            Form::Tokens(tokens) => reached(tokens, &below).contains(&true),
        }
    }
}

/// Which tokens may come next after all letters of the text; the last place means that none has to.
fn reached(tokens: &[Token], text: &str) -> Vec<bool> {
    let mut now = vec![false; tokens.len() + 1];
    now[0] = true;
    skip(tokens, &mut now);
    let mut next = vec![false; tokens.len() + 1];
    // Letters that may stand before a `/` in directories begun at a token.
    let mut inside = vec![false; tokens.len()];
    for letter in text.chars() {
        next.fill(false);
        for (at, token) in tokens.iter().enumerate() {
            if *token == Token::Directories {
                inside[at] |= now[at];
                next[at + 1] |= inside[at] && letter == '/';
                continue;
            }
            if !now[at] {
                continue;
            }
            match token {
                Token::Letter(wanted) => next[at + 1] |= *wanted == letter,
                Token::One => next[at + 1] |= letter != '/',
                Token::Star => next[at] |= letter != '/',
                Token::Rest => next[at] = true,
                Token::Class { negated, ranges } => {
                    next[at + 1] |= ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter)) != *negated;
                }
                Token::Directories => {}
            }
        }
        skip(tokens, &mut next);
        std::mem::swap(&mut now, &mut next);
    }
    // Half-read directories are not an end, but may become one.
    for (at, inside) in inside.into_iter().enumerate() {
        now[at] |= inside;
    }
    now
}

/// Goes past tokens that may match nothing.
fn skip(tokens: &[Token], places: &mut [bool]) {
    for (at, token) in tokens.iter().enumerate() {
        if places[at] && matches!(token, Token::Star | Token::Directories | Token::Rest) {
            places[at + 1] = true;
        }
    }
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        tokens.push(match letter {
            '*' if letters.next_if_eq(&'*').is_some() => {
                letters.next_if_eq(&'/');
                if letters.peek().is_none() { Token::Rest } else { Token::Directories }
            }
            '*' => Token::Star,
            '?' => Token::One,
            '\\' => Token::Letter(letters.next()?),
            '[' => class(&mut letters)?,
            letter => Token::Letter(letter),
        });
    }
    Some(tokens)
}

/// What follows a `[`, with Go's rules for `filepath.Match`.
fn class(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = letters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && letters.next_if_eq(&']').is_some() {
            return Some(Token::Class { negated, ranges });
        }
        let low = member(letters)?;
        let high = if letters.next_if_eq(&'-').is_some() { member(letters)? } else { low };
        if low > high {
            return None;
        }
        ranges.push((low, high));
    }
}

fn member(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match letters.next()? {
        '-' | ']' => None,
        '\\' => letters.next(),
        letter => Some(letter),
    }
}
