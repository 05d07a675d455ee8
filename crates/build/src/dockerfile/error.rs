//! What is wrong with a Dockerfile, and where.

use std::fmt::{self, Write as _};

use super::source::Range;

/// A Dockerfile cannot be understood. Displays as Docker's one line; [`Error::excerpt`] shows the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// At which point of reading it was found, which decides how Docker words it.
    pub stage: ErrorStage,
    /// The name of the file, as the user gave it.
    pub file: Box<str>,
    /// What is wrong.
    pub message: String,
    /// The lines it is about; `None` when it is about the whole file.
    pub range: Option<Range>,
    /// Column of the wrong word in the first of these lines, from 1, in letters.
    pub column: usize,
    /// That line as it is written.
    pub line: Box<str>,
    /// The word that was probably meant.
    pub suggestion: Option<String>,
}

/// How far reading came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorStage {
    /// Lines could not be split into words.
    Syntax,
    /// An instruction has wrong words or flags.
    Instruction,
    /// The instructions make no build.
    File,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, message, .. } = self;
        match (self.stage, self.range) {
            (ErrorStage::Syntax, _) => write!(f, "failed to parse {file}: {message}")?,
            (ErrorStage::Instruction, Some(range)) => {
                write!(f, "dockerfile parse error on line {}: {message}", range.first)?;
            }
            (ErrorStage::Instruction | ErrorStage::File, _) => f.write_str(message)?,
        }
        self.suggestion.iter().try_for_each(|word| write!(f, " (did you mean {word}?)"))
    }
}

impl std::error::Error for Error {}

/// Lines shown before and after the wrong ones.
const AROUND: usize = 2;

impl Error {
    /// The place in the file, with its neighbours; empty when the error is about the whole file.
    ///
    /// `text` is the Dockerfile.
    #[must_use]
    pub fn excerpt(&self, text: &str) -> String {
        self.range.map_or_else(String::new, |range| excerpt(&self.file, text, range))
    }
}

/// Lines of a file, numbered, the ones in `range` marked.
#[must_use]
pub fn excerpt(file: &str, text: &str, range: Range) -> String {
    let mut out = format!("{file}:{}\n--------------------\n", range.first);
    let shown = range.first.saturating_sub(AROUND).max(1)..=range.last.saturating_add(AROUND);
    for (number, line) in (1..).zip(text.lines()).filter(|(number, _)| shown.contains(number)) {
        let mark = if (range.first..=range.last).contains(&number) { ">>>" } else { "   " };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{number:4} | {mark} {line}");
    }
    out.push_str("--------------------\n");
    out
}
