//! `.dockerignore`: which files of a context are left out.
//!
//! A path is left out when the last pattern that matches it, or a directory above it, is no exception (`!`).

mod pattern;
#[cfg(test)]
mod tests;

use pattern::Pattern;

use crate::path::clean;

/// The patterns of a `.dockerignore`, in order.
#[derive(Clone, Debug, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

/// Which patterns match a directory or one above it: what [`Ignore::below`] needs to know of it.
#[derive(Clone, Debug, Default)]
pub struct Matched(Vec<bool>);

/// A pattern cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `!` and nothing else.
    #[error("illegal exclusion pattern: \"!\"")]
    Exception,
    /// `[a`, `a\`.
    #[error("syntax error in pattern")]
    Syntax(String),
}

// === impl Ignore ===

impl Ignore {
    /// Reads a `.dockerignore`. Bytes that are not UTF-8 become replacement characters.
    ///
    /// # Errors
    /// [`Error`] for the first pattern that cannot be understood.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let text = String::from_utf8_lossy(text);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        // A `#` begins a comment only where the line does.
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let rooted = lines.map(|line| {
            let line = line.trim();
            let (mark, path) = line.strip_prefix('!').map_or(("", line), |path| ("!", path.trim()));
            let path = if path.is_empty() { String::new() } else { clean(path) };
            format!("{mark}{}", path.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&path))
        });
        Self::new(rooted)
    }

    /// Takes patterns as they are; empty ones are none.
    ///
    /// # Errors
    /// As [`Ignore::parse`].
    pub fn new(patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, Error> {
        let mut this = Self::default();
        for pattern in patterns {
            this.push(pattern.as_ref())?;
        }
        Ok(this)
    }

    fn push(&mut self, pattern: &str) -> Result<(), Error> {
        let pattern = pattern.trim();
        if pattern.is_empty() {
            return Ok(());
        }
        let cleaned = clean(pattern);
        let (exception, text) = cleaned.strip_prefix('!').map_or((false, &*cleaned), |rest| (true, rest));
        if text.is_empty() {
            return Err(Error::Exception);
        }
        let pattern = Pattern::compile(text, exception).ok_or_else(|| Error::Syntax(pattern.to_owned()))?;
        self.patterns.push(pattern);
        Ok(())
    }

    /// Adds an exception for a file that is left out. Docker does so for the Dockerfile and the `.dockerignore`, which
    /// the builder reads even though steps do not see them.
    pub fn keep(&mut self, path: &str) {
        let text = clean(path);
        if self.ignores(&text) {
            // Letters that mean something in patterns are escaped, so this is no syntax error.
            let escaped: String = text.chars().flat_map(escape).collect();
            self.patterns.extend(Pattern::compile(&escaped, true));
        }
    }

    /// Whether no pattern is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether there are exceptions.
    #[must_use]
    pub fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.exception)
    }

    /// Whether everything at the top is left out: `*`, `**`.
    #[must_use]
    pub fn ignores_all(&self) -> bool {
        self.patterns.iter().any(|pattern| !pattern.exception && ["*", "**", "**/*"].contains(&&*pattern.text))
    }

    /// Whether a path, relative to the context and with slashes, is left out. The context itself never is.
    #[must_use]
    pub fn ignores(&self, path: &str) -> bool {
        let path = clean(path);
        let mut matched = Matched::default();
        let mut ignored = false;
        let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([path.len()]);
        for end in ends.filter(|_| path != ".") {
            (ignored, matched) = self.below(&matched, &path[..end]);
        }
        ignored
    }

    /// The same for a walk from the top down: `above` is what this said of the directory the path is in (the default
    /// for the top), and the answer's second half is for what is below the path. Paths are clean.
    #[must_use]
    pub fn below(&self, above: &Matched, path: &str) -> (bool, Matched) {
        let mut ignored = false;
        let mut matched = Matched(Vec::with_capacity(self.patterns.len()));
        for (at, pattern) in self.patterns.iter().enumerate() {
            // A pattern that would change nothing here is not looked at, and so not remembered for what is below.
            let above = above.0.get(at).copied().unwrap_or_default();
            let matches = above || (pattern.exception == ignored && pattern.matches(path));
            matched.0.push(matches);
            if matches {
                ignored = !pattern.exception;
            }
        }
        (ignored, matched)
    }

    /// Whether a directory that is left out need not be walked: no exception may match anything in it.
    #[must_use]
    pub fn skips(&self, directory: &str) -> bool {
        !self.patterns.iter().any(|pattern| pattern.exception && pattern.may_match_below(directory))
    }
}

fn escape(letter: char) -> impl Iterator<Item = char> {
    let special = matches!(letter, '*' | '?' | '[' | ']' | '\\');
    special.then_some('\\').into_iter().chain([letter])
}
