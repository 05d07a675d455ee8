//! From physical lines to logical ones: comments, continuations, byte order mark, line endings, bodies of heredocs.

use super::directive::DirectiveReader;
use super::heredoc::Heredoc;

/// Lines of a file, the last one included, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Range {
    /// The first line.
    pub first: usize,
    /// The last line.
    pub last: usize,
}

/// One instruction's line, its continuations joined.
#[derive(Clone, Debug, Default)]
pub(super) struct Logical {
    pub(super) text: String,
    pub(super) first: usize,
    pub(super) last: usize,
    /// The comments directly above it.
    pub(super) comments: Vec<String>,
    /// An empty line stands between its parts.
    pub(super) empty_continuation: bool,
    pieces: Vec<Piece>,
}

/// Where a part of a logical line comes from.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Its first byte in the logical line.
    offset: usize,
    line: usize,
    /// Letters before it in that line.
    column: usize,
}

/// A message and the line it is about.
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) first: usize,
    pub(super) last: usize,
}

/// Reads the lines of a file in order.
pub(super) struct Reader<'a> {
    lines: std::str::SplitInclusive<'a, char>,
    number: usize,
    comments: Vec<String>,
    pub(super) directives: DirectiveReader,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            lines: text.split_inclusive('\n'),
            number: 0,
            comments: Vec::new(),
            directives: DirectiveReader::default(),
        }
    }

    fn line(&mut self) -> Option<&'a str> {
        let line = self.lines.next()?;
        self.number += 1;
        Some(line)
    }

    /// The next instruction's line; `None` at the end of the file.
    pub(super) fn logical(&mut self) -> Result<Option<Logical>, Problem> {
        while let Some(raw) = self.line() {
            let raw = raw.trim_end_matches(['\r', '\n']);
            let line = raw.trim_start();
            let directive = self.directives.line(line, self.number).map_err(|message| Problem {
                message,
                first: self.number,
                last: self.number,
            })?;
            if directive {
                continue;
            }
            if line.is_empty() {
                self.comments.clear();
                continue;
            }
            if let Some(comment) = line.strip_prefix('#') {
                match comment.trim() {
                    "" => self.comments.clear(),
                    text => self.comments.push(text.to_owned()),
                }
                continue;
            }
            let mut logical = Logical { first: self.number, last: self.number, ..Logical::default() };
            let column = raw.chars().count() - line.chars().count();
            if logical.push(line, column, self.number, self.directives.escape()) {
                self.continuation(&mut logical);
            }
            logical.comments = std::mem::take(&mut self.comments);
            if !logical.text.trim().is_empty() {
                return Ok(Some(logical));
            }
        }
        Ok(None)
    }

    /// Joins the lines that follow a continuation letter.
    fn continuation(&mut self, logical: &mut Logical) {
        while let Some(raw) = self.line() {
            let line = raw.trim_end_matches(['\r', '\n']);
            logical.last = self.number;
            if line.trim_start().starts_with('#') {
                continue;
            }
            if line.trim().is_empty() {
                logical.empty_continuation = true;
                continue;
            }
            if !logical.push(line, 0, self.number, self.directives.escape()) {
                return;
            }
        }
    }

    /// The lines up to the heredoc's word become its content; `false` when the word does not come.
    pub(super) fn body(&mut self, heredoc: &mut Heredoc) -> bool {
        while let Some(raw) = self.line() {
            let line = raw.trim_end_matches(['\r', '\n']);
            let line = if heredoc.strip_tabs { line.trim_start_matches('\t') } else { line };
            if line == heredoc.name {
                return true;
            }
            heredoc.content.push_str(raw);
        }
        false
    }

    /// The number of the line that was read last.
    pub(super) fn number(&self) -> usize {
        self.number
    }
}

// === impl Logical ===

impl Logical {
    pub(super) fn range(&self) -> Range {
        Range { first: self.first, last: self.last }
    }

    /// Appends a physical line; `true` when it is continued.
    fn push(&mut self, line: &str, column: usize, number: usize, escape: char) -> bool {
        self.pieces.push(Piece { offset: self.text.len(), line: number, column });
        let (text, continued) = without_continuation(line, escape);
        self.text.push_str(text);
        continued
    }

    /// Line and column, from 1, of a byte of the text.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        let piece = self.pieces.iter().rev().find(|piece| piece.offset <= offset);
        piece.map_or((self.first, 1), |piece| {
            let before = self.text.get(piece.offset..offset).unwrap_or_default();
            (piece.line, piece.column + before.chars().count() + 1)
        })
    }

    /// Where a word stands, as [`Logical::place`]; the start of the instruction when it is not to be found.
    pub(super) fn place_of(&self, word: &str) -> (usize, usize) {
        self.place(self.text.find(word).unwrap_or(0))
    }
}

/// An escape letter at the end, unless another one is before it, continues the line.
fn without_continuation(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(text) if !text.ends_with(escape) => (text, true),
        _ => (line, false),
    }
}
