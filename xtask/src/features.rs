//! `cargo xtask features`: the rows of the feature list against the last test results.
//!
//! A test belongs to a row by its name: `ctr_07_…` to `CTR-07`. A row counts when it has a test and every
//! test of it passed; a skipped test proves nothing.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};
use privileged_tests::fixtures::workspace;

use crate::test::{Outcome, Results, load_results, results_file};

/// Prints every row that has a test, and the totals.
pub fn run() -> Result<()> {
    let path = workspace().join("docs/dev/features.txt");
    let list = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let results = load_results()?;
    if results.is_empty() {
        println!("no results in {}: run cargo xtask test first", results_file()?.display());
    }
    let rows = by_row(&results);
    let (mut total, mut passed) = (0, 0);
    for (id, title) in list.lines().filter_map(|line| line.split_once('\t')) {
        total += 1;
        let Some(outcomes) = rows.get(id) else { continue };
        let word = verdict(outcomes);
        passed += usize::from(word == "pass");
        println!("{word:4}  {id}  {title}  ({} tests)", outcomes.len());
    }
    println!("\n{passed} of {total} rows have passing tests");
    Ok(())
}

fn by_row(results: &Results) -> BTreeMap<String, Vec<Outcome>> {
    let mut rows = BTreeMap::<String, Vec<Outcome>>::new();
    for (name, outcome) in results.values().flatten() {
        if let Some(id) = row_of(name) {
            rows.entry(id).or_default().push(*outcome);
        }
    }
    rows
}

/// `tests::ctr_07_itd` -> `CTR-07`, `x_07_codes` -> `X-07`.
fn row_of(test: &str) -> Option<String> {
    let name = test.rsplit("::").next()?;
    let mut words = name.split('_');
    let (system, number) = (words.next()?, words.next()?);
    let valid = matches!(system.len(), 1 | 3)
        && system.bytes().all(|byte| byte.is_ascii_lowercase())
        && number.len() == 2
        && number.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| format!("{}-{number}", system.to_ascii_uppercase()))
}

fn verdict(outcomes: &[Outcome]) -> &'static str {
    if outcomes.contains(&Outcome::Failed) {
        "FAIL"
    } else if outcomes.contains(&Outcome::Skipped) {
        "skip"
    } else {
        "pass"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_names_its_row() {
        assert_eq!(row_of("ctr_07_itd_keeps_a_shell_waiting").as_deref(), Some("CTR-07"));
        assert_eq!(row_of("deep::sto_19").as_deref(), Some("STO-19"));
        assert_eq!(row_of("x_07_exit_codes_of_run").as_deref(), Some("X-07"));
        assert_eq!(row_of("crash_fifty_containers"), None);
        assert_eq!(row_of("bad_user"), None);
    }

    #[test]
    fn a_row_needs_all_of_its_tests() {
        assert_eq!(verdict(&[Outcome::Passed, Outcome::Passed]), "pass");
        assert_eq!(verdict(&[Outcome::Passed, Outcome::Skipped]), "skip");
        assert_eq!(verdict(&[Outcome::Failed, Outcome::Skipped]), "FAIL");
    }
}
