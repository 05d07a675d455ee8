//! What the checks found, as lines.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// Not possible here, and why.
    Skipped(String),
    /// Otherwise.
    Failed(String),
}

/// Outcomes by name.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Outcomes by name.
    pub outcomes: BTreeMap<String, Outcome>,
    /// Everything that was printed.
    pub output: String,
}

const PREFIX: &str = "CHECK ";

/// One line for one check.
pub fn line(name: &str, outcome: &Outcome, milliseconds: u128) -> String {
    match outcome {
        Outcome::Passed => format!("{PREFIX}ok {name} {milliseconds}"),
        Outcome::Skipped(reason) => format!("{PREFIX}skip {name} {}", reason.replace('\n', " ")),
        Outcome::Failed(error) => format!("{PREFIX}failed {name} {}", error.replace('\n', " ")),
    }
}

// === impl Report ===

impl Report {
    /// Picks the lines out of a console.
    pub fn parse(output: &str) -> Self {
        let mut report = Self { output: output.to_owned(), ..Self::default() };
        for line in output.lines() {
            // A console may put kernel messages in front.
            let Some((_, rest)) = line.split_once(PREFIX) else { continue };
            let mut words = rest.trim_end().splitn(3, ' ');
            let (Some(kind), Some(name)) = (words.next(), words.next()) else { continue };
            let detail = words.next().unwrap_or_default().to_owned();
            let outcome = match kind {
                "ok" => Outcome::Passed,
                "skip" => Outcome::Skipped(detail),
                _ => Outcome::Failed(detail),
            };
            report.outcomes.insert(name.to_owned(), outcome);
        }
        report
    }

    /// For a test named after a check: passes, or shows why not.
    ///
    /// # Panics
    /// When the check failed or never reported.
    pub fn require(&self, name: &str) {
        match self.outcomes.get(name) {
            Some(Outcome::Passed) => {}
            Some(Outcome::Skipped(reason)) => skip(reason),
            Some(Outcome::Failed(error)) => panic!("{name}: {error}"),
            None => panic!("{name} did not report; the output was:\n{}", self.output),
        }
    }
}

/// Reports that the running test cannot be done on this machine: on the real standard error, which libtest does not
/// capture, and into the file that `GANTRY_SKIPS` names, so that `cargo xtask test` counts it as skipped.
fn skip(reason: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unknown");
    // Best effort: a closed standard error must not fail the test.
    let _ = writeln!(std::io::stderr(), "SKIP {name}: {reason}");
    if let Some(path) = std::env::var_os("GANTRY_SKIPS")
        && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = writeln!(file, "{name}\t{reason}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_a_console() {
        let text = format!(
            "[    1.0] {}\r\nnoise\n{}\n{}\n",
            line("a", &Outcome::Passed, 3),
            line("b", &Outcome::Skipped("no\nswap".to_owned()), 0),
            line("c", &Outcome::Failed("broken".to_owned()), 0)
        );
        let report = Report::parse(&text);
        assert_eq!(report.outcomes["a"], Outcome::Passed);
        assert_eq!(report.outcomes["b"], Outcome::Skipped("no swap".to_owned()));
        assert_eq!(report.outcomes["c"], Outcome::Failed("broken".to_owned()));
    }
}
