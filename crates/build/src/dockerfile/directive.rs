//! Parser directives: `# syntax=…`, `# escape=…`, `# check=…` before anything else.

use super::source::Range;

/// A directive at the top of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// `syntax`, `escape` or `check`, in lower case.
    pub name: String,
    /// What it is set to.
    pub value: String,
    /// Its line.
    pub range: Range,
}

/// The names there are.
const NAMES: [&str; 3] = ["syntax", "escape", "check"];

/// Reads directives until the first line that is none.
#[derive(Debug, Default)]
pub(super) struct DirectiveReader {
    pub(super) found: Vec<Directive>,
    done: bool,
}

// === impl DirectiveReader ===

impl DirectiveReader {
    /// Takes the next line of the file. `Ok(true)` when it is a directive.
    pub(super) fn line(&mut self, line: &str, number: usize) -> Result<bool, String> {
        if self.done {
            return Ok(false);
        }
        let Some((name, value)) = line.strip_prefix('#').and_then(assignment) else {
            self.done = true;
            return Ok(false);
        };
        if self.found.iter().any(|directive| directive.name == name) {
            return Err(format!("only one {name} parser directive can be used"));
        }
        if name == "escape" && value != "\\" && value != "`" {
            return Err(format!("invalid escape token '{value}' does not match ` or \\"));
        }
        self.found.push(Directive { name, value, range: Range { first: number, last: number } });
        Ok(true)
    }

    /// The letter that escapes and continues lines.
    pub(super) fn escape(&self) -> char {
        let set = self.found.iter().find(|directive| directive.name == "escape");
        set.and_then(|directive| directive.value.chars().next()).unwrap_or('\\')
    }
}

/// `name = value` with one of the names, in any case.
fn assignment(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    (NAMES.contains(&name.as_str()) && !value.is_empty()).then(|| (name, value.to_owned()))
}
