//! What is allowed in a Dockerfile and probably not meant: Docker's build checks, with its names and words.

mod options;
mod rule;
mod steps;
#[cfg(test)]
mod tests;
mod writing;

use crate::config::Config;
use crate::dockerfile::{Dockerfile, Range};
use crate::expand::Globals;
use crate::ignore::Ignore;

pub use options::Options;
pub use rule::Rule;

/// A rule that is not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// Where.
    pub range: Range,
    /// Which.
    pub rule: Rule,
    /// What is wrong.
    pub message: String,
}

/// What a build knows beside its Dockerfile.
pub struct Surroundings<'a> {
    /// Given arguments and platforms; nothing declared yet.
    pub globals: Globals,
    /// The context's `.dockerignore`, if it has one.
    pub ignore: Option<&'a Ignore>,
    /// The configuration of an image; `None` when it is not known here. Then its variables are not either, and
    /// nobody can say which are undefined.
    pub image: &'a dyn Fn(&str) -> Option<Config>,
    /// The stage to build; `None` is the last.
    pub target: Option<usize>,
    /// Rules to leave out or to add, beside those the file names.
    pub options: Options,
}

/// Warnings on their way, with the rules that count at their place.
struct Findings {
    found: Vec<Warning>,
    file: Options,
    here: Options,
}

/// Looks at a whole file. The answer is in the order of lines.
#[must_use]
pub fn check(file: &Dockerfile, surroundings: &Surroundings<'_>) -> Vec<Warning> {
    let directive = file.directives.iter().find(|directive| directive.name == "check");
    let said = directive.map(|directive| vec![format!("check={}", directive.value)]);
    let options = surroundings.options.above(&said.unwrap_or_default());
    let mut findings = Findings { found: Vec::new(), here: options.clone(), file: options };
    writing::check(file, &mut findings);
    steps::check(file, surroundings, &mut findings);
    findings.found.sort();
    findings.found.dedup();
    findings.found
}

// === impl Warning ===

impl Warning {
    /// Docker's one line.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{}: {} (line {})", self.rule.name(), self.message, self.range.first)
    }
}

// === impl Findings ===

impl Findings {
    /// From here on, comments above an instruction count.
    fn enter(&mut self, comments: &[String]) {
        self.here = self.file.above(comments);
    }

    fn add(&mut self, rule: Rule, range: Range, message: impl FnOnce() -> String) {
        if self.here.asks_for(rule) {
            self.found.push(Warning { range, rule, message: message() });
        }
    }
}
