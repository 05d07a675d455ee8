//! Results of a suite on two engines, side by side.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How one test ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "lowercase")]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed; the last line of its complaint.
    Failed(String),
    /// The suite itself left it out.
    Skipped,
}

/// Outcomes by the suite's own test names.
pub type Results = BTreeMap<String, Outcome>;

/// Prints the counts, then every test on which the engines differ.
pub fn print(reference: &Results, ours: &Results) {
    println!("\n{:>10} {:>7} {:>7} {:>7}", "", "passed", "failed", "skipped");
    for (name, results) in [("dockerd", reference), ("gantry", ours)] {
        let count = |wanted: fn(&Outcome) -> bool| results.values().filter(|outcome| wanted(outcome)).count();
        println!(
            "{name:>10} {:>7} {:>7} {:>7}",
            count(|outcome| *outcome == Outcome::Passed),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
            count(|outcome| *outcome == Outcome::Skipped)
        );
    }
    let passes = |results: &Results, test: &str| results.get(test) == Some(&Outcome::Passed);
    let tests: std::collections::BTreeSet<&String> = reference.keys().chain(ours.keys()).collect();
    let lost: Vec<_> = tests.iter().filter(|test| passes(reference, test) && !passes(ours, test)).collect();
    let won: Vec<_> = tests.iter().filter(|test| !passes(reference, test) && passes(ours, test)).collect();
    println!("\nreference passes, Gantry fails: {}", lost.len());
    for test in &lost {
        let reason = match ours.get(**test) {
            Some(Outcome::Failed(reason)) => reason.as_str(),
            Some(Outcome::Skipped) => "skipped",
            _ => "not run",
        };
        println!("  {test}\n      {reason}");
    }
    println!("\nGantry passes, reference does not: {}", won.len());
    won.iter().for_each(|test| println!("  {test}"));
}
