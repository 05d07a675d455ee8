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
        for id in rows_of(name) {
            rows.entry(id).or_default().push(*outcome);
        }
    }
    rows
}

/// `tests::ctr_07_itd` -> `CTR-07`, `x_07_codes` -> `X-07`, `vol_20_21_chain` -> `VOL-20` and `VOL-21`.
fn rows_of(test: &str) -> Vec<String> {
    let mut words = test.rsplit("::").next().unwrap_or_default().split('_');
    let system = words.next().unwrap_or_default();
    if !matches!(system.len(), 1 | 3) || !system.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Vec::new();
    }
    let numbers = words.take_while(|word| word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_digit()));
    numbers.map(|number| format!("{}-{number}", system.to_ascii_uppercase())).collect()
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
    fn a_test_names_its_rows() {
        assert_eq!(rows_of("ctr_07_itd_keeps_a_shell_waiting"), ["CTR-07"]);
        assert_eq!(rows_of("deep::sto_19"), ["STO-19"]);
        assert_eq!(rows_of("x_07_exit_codes_of_run"), ["X-07"]);
        assert_eq!(rows_of("img_24_25_27_the_same"), ["IMG-24", "IMG-25", "IMG-27"]);
        for none in ["crash_fifty_containers", "bad_user", "net_100_networks", ""] {
            assert_eq!(rows_of(none), Vec::<String>::new());
        }
    }

    #[test]
    fn a_row_needs_all_of_its_tests() {
        assert_eq!(verdict(&[Outcome::Passed, Outcome::Passed]), "pass");
        assert_eq!(verdict(&[Outcome::Passed, Outcome::Skipped]), "skip");
        assert_eq!(verdict(&[Outcome::Failed, Outcome::Skipped]), "FAIL");
    }
}
