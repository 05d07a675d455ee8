//! Here-documents: `RUN <<EOF`, `COPY <<-"a.txt" <<b.txt /dir/`.

use crate::expand::{self, Lexer};

/// A here-document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it; for COPY and ADD the name of the file as well.
    pub name: String,
    /// The number before `<<`, 0 when there is none.
    pub descriptor: u32,
    /// Variables in its content are to be replaced: no part of its word was quoted.
    pub expand: bool,
    /// `<<-`: tabs at the beginning of lines do not count.
    pub strip_tabs: bool,
    /// Its lines as they stand in the file.
    pub content: String,
}

// === impl Heredoc ===

impl Heredoc {
    /// Its lines, without leading tabs when it says so.
    #[must_use]
    pub fn text(&self) -> String {
        if !self.strip_tabs {
            return self.content.clone();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }

    /// A word as the beginning of a here-document; `None` when it is another word.
    pub(super) fn of_word(word: &str) -> Result<Option<Self>, expand::Reason> {
        let (number, rest) = word.split_at(word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len()));
        let Some(rest) = rest.strip_prefix("<<") else { return Ok(None) };
        let (strip_tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
        let rest = rest.trim_start();
        if rest.is_empty() || rest.contains('<') {
            return Ok(None);
        }
        let lexer = Lexer { keep_unset: true, ..Lexer::default() };
        let plain = lexer.expand(rest, &()).map_err(|error| error.reason)?;
        let quoted = Lexer { keep_quotes: true, ..lexer }.expand(rest, &()).map_err(|error| error.reason)?;
        let ([name], [as_written]) = (&plain.words[..], &quoted.words[..]) else { return Ok(None) };
        Ok(Some(Self {
            name: name.clone(),
            descriptor: number.parse().unwrap_or_default(),
            expand: quotes(name) == quotes(as_written),
            strip_tabs,
            content: String::new(),
        }))
    }

    /// All that a line begins, in order, still empty.
    pub(super) fn of_line(line: &str) -> Result<Vec<Self>, expand::Reason> {
        let lexer = Lexer { keep_quotes: true, keep_escapes: true, keep_unset: true, ..Lexer::default() };
        // A line that the lexer cannot read has no here-documents; the shell will say what is wrong with it.
        let words = lexer.expand(line, &()).map(|found| found.words).unwrap_or_default();
        let found: Result<Vec<_>, _> = words.iter().map(|word| Self::of_word(word)).collect();
        Ok(found?.into_iter().flatten().collect())
    }
}

fn quotes(text: &str) -> usize {
    text.matches(['\'', '"']).count()
}
