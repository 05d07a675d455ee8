//! The whole file: lines, then instructions, then stages.

use super::directive::Directive;
use super::error::{Error, ErrorStage};
use super::instruction::{Argument, From, Instruction};
use super::interpret::{self, Fault, Meaning};
use super::line::{self, Line};
use super::source::{Problem, Range, Reader};

/// A parsed Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// Parser directives, in order.
    pub directives: Vec<Directive>,
    /// The letter that escapes and continues lines.
    pub escape: char,
    /// `ARG`s before the first stage.
    pub global_args: Vec<Step<Vec<Argument>>>,
    /// Stages in order, at least one.
    pub stages: Vec<Stage>,
    /// Instructions with an empty line between their parts.
    pub empty_continuations: Vec<EmptyContinuation>,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its `FROM`.
    pub from: Step<From>,
    /// What follows, in order.
    pub steps: Vec<Step>,
}

/// An instruction and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<T = Instruction> {
    /// What it says.
    pub instruction: T,
    /// Its lines, here-documents included.
    pub range: Range,
    /// The instruction's text, continuations joined, variables as they are: what `Step 1/2 :` shows.
    pub text: String,
    /// Its word as it is written.
    pub word: String,
    /// Comments directly above it.
    pub comments: Vec<String>,
}

/// An empty line that a continuation skipped. Docker warns, and says it will be an error one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmptyContinuation {
    /// The instruction's lines.
    pub range: Range,
    /// Its text.
    pub text: String,
}

/// A text of comments only.
const NOTHING: &str = "file with no instructions";

/// A text with its lines, for errors.
struct Parser<'a> {
    file: &'a str,
    text: &'a str,
}

/// What a file's lines are, before stages.
struct Lines {
    directives: Vec<Directive>,
    escape: char,
    lines: Vec<Line>,
}

// === impl Dockerfile ===

impl Dockerfile {
    /// Parses a file. Bytes that are not UTF-8 become replacement characters.
    ///
    /// # Errors
    /// [`Error`] with Docker's words. `file` is the name the user gave it.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, Error> {
        let text = String::from_utf8_lossy(text);
        let parser = Parser { file, text: &text };
        if text.is_empty() {
            return Err(parser.whole(ErrorStage::File, format!("the Dockerfile ({file}) cannot be empty")));
        }
        let Lines { directives, escape, lines } = parser.lines()?;
        if lines.is_empty() {
            return Err(parser.whole(ErrorStage::Syntax, NOTHING.to_owned()));
        }
        let empty = lines.iter().filter(|line| line.logical.empty_continuation);
        let empty_continuations = empty
            .map(|line| EmptyContinuation { range: line.logical.range(), text: line.logical.text.trim().to_owned() })
            .collect();
        let mut this = Self { directives, escape, global_args: Vec::new(), stages: Vec::new(), empty_continuations };
        for line in lines {
            let meaning = interpret::interpret(&line).map_err(|fault| parser.fault(&line, fault))?;
            match (meaning, this.stages.last_mut()) {
                (Meaning::Stage(from), _) => {
                    this.stages.push(Stage { from: Step::new(line, from), steps: Vec::new() });
                }
                (Meaning::Step(instruction), Some(stage)) => stage.steps.push(Step::new(line, instruction)),
                (Meaning::Step(Instruction::Arg(arguments)), None) => {
                    this.global_args.push(Step::new(line, arguments));
                }
                (Meaning::Step(_), None) => {
                    let message = "no build stage in current context".to_owned();
                    return Err(parser.error(ErrorStage::File, message, line.logical.range()));
                }
            }
        }
        if this.stages.is_empty() {
            return Err(parser.whole(ErrorStage::File, "dockerfile contains no stages to build".to_owned()));
        }
        Ok(this)
    }

    /// What Docker's classic builder prints before the first step.
    #[must_use]
    pub fn printed_warnings(&self) -> Vec<String> {
        let found = self.empty_continuations.iter();
        let mut lines: Vec<String> =
            found.map(|found| format!("[WARNING]: Empty continuation line found in:\n    {}", found.text)).collect();
        if !lines.is_empty() {
            lines.push("[WARNING]: Empty continuation lines will become errors in a future release.".to_owned());
        }
        lines
    }
}

/// Parses instructions that stand in no stage: `ONBUILD` triggers, `commit --change`.
///
/// `admit` sees each instruction's word in lower case before it is understood, and may refuse it.
///
/// # Errors
/// [`Error`]; its `message` is what Docker shows here.
pub fn steps(text: &str, admit: impl Fn(&str) -> Result<(), String>) -> Result<Vec<Step>, Error> {
    let parser = Parser { file: "Dockerfile", text };
    let refused = |line: &Line, message: String| parser.error(ErrorStage::Instruction, message, line.logical.range());
    let mut steps = Vec::new();
    let lines = parser.lines()?.lines;
    if lines.is_empty() {
        return Err(parser.whole(ErrorStage::Syntax, NOTHING.to_owned()));
    }
    for line in &lines {
        admit(&line.word.to_lowercase()).map_err(|message| refused(line, message))?;
    }
    for line in lines {
        match interpret::interpret(&line).map_err(|fault| parser.fault(&line, fault))? {
            Meaning::Step(instruction) => steps.push(Step::new(line, instruction)),
            Meaning::Stage(_) => return Err(refused(&line, "FROM is not allowed here".to_owned())),
        }
    }
    Ok(steps)
}

// === impl Step ===

impl<T> Step<T> {
    fn new(line: Line, instruction: T) -> Self {
        Self {
            instruction,
            range: line.logical.range(),
            text: line.logical.text.trim().to_owned(),
            word: line.word,
            comments: line.logical.comments,
        }
    }
}

// === impl Parser ===

impl Parser<'_> {
    fn lines(&self) -> Result<Lines, Error> {
        let mut reader = Reader::new(self.text);
        let mut lines = Vec::new();
        while let Some(line) = line::next(&mut reader).map_err(|problem| self.problem(problem))? {
            lines.push(line);
        }
        Ok(Lines { escape: reader.directives.escape(), directives: reader.directives.found, lines })
    }

    fn problem(&self, Problem { message, first, last }: Problem) -> Error {
        self.error(ErrorStage::Syntax, message, Range { first, last })
    }

    fn fault(&self, line: &Line, fault: Fault) -> Error {
        let error = self.error(ErrorStage::Instruction, fault.message, line.logical.range());
        let (number, column) = fault.word.map_or_else(|| line.logical.place(0), |word| line.logical.place_of(&word));
        Error { column, line: self.line(number), suggestion: fault.suggestion, ..error }
    }

    fn error(&self, stage: ErrorStage, message: String, range: Range) -> Error {
        let line = self.line(range.first);
        let column = line.chars().take_while(|letter| letter.is_whitespace()).count() + 1;
        Error { range: Some(range), column, line, ..self.whole(stage, message) }
    }

    fn whole(&self, stage: ErrorStage, message: String) -> Error {
        let (file, line) = (self.file.into(), Box::default());
        Error { stage, file, message, range: None, column: 1, line, suggestion: None }
    }

    fn line(&self, number: usize) -> Box<str> {
        self.text.lines().nth(number.saturating_sub(1)).unwrap_or_default().into()
    }
}
