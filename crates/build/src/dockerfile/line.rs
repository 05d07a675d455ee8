//! Every instruction's line split into the words its instruction takes: what can be wrong before meaning counts.

use super::heredoc::Heredoc;
use super::instruction::Pair;
use super::lexer::{self, Json};
use super::source::{Logical, Problem, Reader};
use crate::quote::quoted;

/// A line, split.
pub(super) struct Line {
    pub(super) logical: Logical,
    /// The instruction as it is written.
    pub(super) word: String,
    pub(super) flags: Vec<String>,
    pub(super) args: Vec<String>,
    /// The arguments were in JSON.
    pub(super) json: bool,
    /// Arguments of `ENV` and `LABEL`.
    pub(super) pairs: Vec<Pair>,
    pub(super) heredocs: Vec<Heredoc>,
}

/// Arguments, split.
#[derive(Default)]
struct Words {
    args: Vec<String>,
    json: bool,
    pairs: Vec<Pair>,
    /// An instruction that may begin here-documents, and does not in its JSON form.
    heredocs: bool,
}

/// Reads the next line with its here-documents; `None` at the end of the file.
pub(super) fn next(reader: &mut Reader<'_>) -> Result<Option<Line>, Problem> {
    let Some(logical) = reader.logical()? else { return Ok(None) };
    let (first, escape) = (logical.first, reader.directives.escape());
    let problem = |message: String, last: usize| Problem { message, first, last };
    let parts = lexer::parts(&logical.text, escape);
    let split = split(parts.word, parts.rest, escape).map_err(|message| problem(message, logical.last))?;
    let (word, flags) = (parts.word.to_owned(), parts.flags);
    let mut line =
        Line { word, flags, args: split.args, json: split.json, pairs: split.pairs, heredocs: Vec::new(), logical };
    if split.heredocs {
        let begun = Heredoc::of_line(&line.logical.text);
        line.heredocs = begun.map_err(|reason| problem(reason.to_string(), line.logical.last))?;
        for heredoc in &mut line.heredocs {
            if !reader.body(heredoc) {
                return Err(problem("unterminated heredoc".to_owned(), reader.number()));
            }
        }
        line.logical.last = reader.number().max(line.logical.last);
    }
    Ok(Some(line))
}

fn split(word: &str, rest: &str, escape: char) -> Result<Words, String> {
    let whole = || if rest.is_empty() { Vec::new() } else { vec![rest.to_owned()] };
    match word.to_ascii_uppercase().as_str() {
        "ADD" | "COPY" => Ok(Words { heredocs: true, ..json_or(rest, lexer::fields(rest))? }.no_heredocs_in_json()),
        "RUN" => Ok(Words { heredocs: true, ..json_or(rest, whole())? }.no_heredocs_in_json()),
        "VOLUME" => json_or(rest, lexer::fields(rest)),
        "CMD" | "ENTRYPOINT" | "SHELL" => json_or(rest, whole()),
        "EXPOSE" | "FROM" => Ok(Words { args: lexer::fields(rest), ..Words::default() }),
        "ARG" => Ok(Words { args: lexer::words(rest, escape), ..Words::default() }),
        "ENV" | "LABEL" => Ok(Words { pairs: pairs(&word.to_ascii_uppercase(), rest, escape)?, ..Words::default() }),
        "MAINTAINER" | "STOPSIGNAL" | "USER" | "WORKDIR" => Ok(Words { args: whole(), ..Words::default() }),
        "HEALTHCHECK" => {
            let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let command = command.trim_start();
            let given = if command.is_empty() { Vec::new() } else { vec![command.to_owned()] };
            let words = json_or(command, given)?;
            let kind = Some(kind.to_owned()).filter(|kind| !kind.is_empty());
            Ok(Words { args: kind.into_iter().chain(words.args).collect(), ..words })
        }
        "ONBUILD" if !rest.is_empty() => {
            let inner = lexer::parts(rest, escape);
            // A trigger within a trigger is refused; a thousand of them must not become a thousand calls.
            if inner.word.eq_ignore_ascii_case("onbuild") {
                return Ok(Words { args: vec![inner.word.to_owned()], ..Words::default() });
            }
            let words = split(inner.word, inner.rest, escape)?;
            let args = std::iter::once(inner.word.to_owned()).chain(words.args).collect();
            Ok(Words { args, pairs: Vec::new(), json: false, heredocs: words.heredocs })
        }
        // Unknown instructions are told when all lines have been read.
        _ => Ok(Words::default()),
    }
}

fn json_or(rest: &str, otherwise: Vec<String>) -> Result<Words, String> {
    match lexer::json(rest) {
        Json::Array(args) => Ok(Words { args, json: true, ..Words::default() }),
        Json::NotTexts => Err("when using JSON array syntax, arrays must be comprised of strings only".to_owned()),
        Json::No => Ok(Words { args: otherwise, ..Words::default() }),
    }
}

/// `name=value…`, or in the old form `name value`.
fn pairs(word: &str, rest: &str, escape: char) -> Result<Vec<Pair>, String> {
    let words = lexer::words(rest, escape);
    let Some(first) = words.first() else { return Ok(Vec::new()) };
    if !first.contains('=') {
        let (name, value) = lexer::halves(rest).ok_or_else(|| format!("{word} must have two arguments"))?;
        return Ok(vec![Pair { name: name.to_owned(), value: value.to_owned(), legacy: true }]);
    }
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) => Ok(Pair { name: name.to_owned(), value: value.to_owned(), legacy: false }),
        None => Err(format!("Syntax error - can't find = in {}. Must be of the form: name=value", quoted(word))),
    };
    words.iter().map(pair).collect()
}

// === impl Words ===

impl Words {
    fn no_heredocs_in_json(self) -> Self {
        Self { heredocs: self.heredocs && !self.json, ..self }
    }
}
