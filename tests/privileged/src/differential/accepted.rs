//! The differences that are meant.
//!
//! ```text
//! # a reason, which counts for the lines below it up to the next empty line
//! STEP | FIELD                          all parts may hold `*` for any text
//! STEP | FIELD | REFERENCE              only where the reference answered that
//! STEP | FIELD | REFERENCE | GANTRY     and Gantry that
//! ```

use std::cell::Cell;

use anyhow::{Context as _, Result, ensure};

use super::compare::Difference;

/// The list.
#[derive(Debug, Default)]
pub struct Accepted(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    step: String,
    field: String,
    /// What the two engines answered; `*` where the rule does not say.
    reference: String,
    gantry: String,
    reason: String,
    used: Cell<usize>,
}

// === impl Accepted ===

impl Accepted {
    /// Parses the text of the file.
    ///
    /// # Errors
    /// A line that is no rule, or a rule without a reason.
    pub fn parse(text: &str) -> Result<Self> {
        let (mut rules, mut reason) = (Vec::new(), String::new());
        for line in text.lines().map(str::trim) {
            if line.is_empty() {
                reason.clear();
            } else if let Some(words) = line.strip_prefix('#') {
                reason = format!("{reason} {}", words.trim()).trim().to_owned();
            } else {
                ensure!(!reason.is_empty(), "no reason: {line}");
                let mut parts = line.split(" | ").map(|part| part.trim().to_owned());
                let mut part = || parts.next();
                let (step, field) = part().zip(part()).with_context(|| format!("no rule: {line}"))?;
                let any = || "*".to_owned();
                let (reference, gantry) = (part().unwrap_or_else(any), part().unwrap_or_else(any));
                rules.push(Rule { step, field, reference, gantry, reason: reason.clone(), used: Cell::new(0) });
            }
        }
        Ok(Self(rules))
    }

    /// The reason of the first rule that takes the difference.
    pub fn reason(&self, difference: &Difference) -> Option<&str> {
        let takes = |rule: &&Rule| {
            matches(&rule.step, &difference.step)
                && matches(&rule.field, &difference.field)
                && matches(&rule.reference, &difference.reference)
                && matches(&rule.gantry, &difference.gantry)
        };
        let rule = self.0.iter().find(takes)?;
        rule.used.set(rule.used.get() + 1);
        Some(&rule.reason)
    }

    /// Rules that took nothing: what they excused is gone.
    pub fn stale(&self) -> Vec<String> {
        let unused = self.0.iter().filter(|rule| rule.used.get() == 0);
        unused.map(|rule| format!("{} | {} | {} | {}", rule.step, rule.field, rule.reference, rule.gantry)).collect()
    }
}

/// `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.any(|at| matches(after, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_reasons_and_stars() {
        let accepted = Accepted::parse("# because\n# of this\n* GET /info | $.*\n\n").expect("parses");
        let mut difference = Difference {
            step: "1.41 GET /info".to_owned(),
            place: String::new(),
            field: "$.Name".to_owned(),
            reference: String::new(),
            gantry: String::new(),
        };
        assert_eq!(accepted.stale().len(), 1);
        assert_eq!(accepted.reason(&difference), Some("because of this"));
        assert!(accepted.stale().is_empty());
        difference.field = "status".to_owned();
        assert_eq!(accepted.reason(&difference), None);
        let accepted = Accepted::parse("# because\n* | status | 500 | 4*\n").expect("parses");
        (difference.reference, difference.gantry) = ("500".to_owned(), "400".to_owned());
        assert_eq!(accepted.reason(&difference), Some("because"));
        difference.gantry = "500".to_owned();
        assert_eq!(accepted.reason(&difference), None);
        assert!(Accepted::parse("a | b").is_err() && Accepted::parse("# r\nab").is_err());
    }
}
