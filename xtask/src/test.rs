//! `cargo xtask test`: build the programs and the fixtures once, run every test, keep the results.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use privileged_tests::fixtures::Fixture;
use serde::{Deserialize, Serialize};

use crate::cargo::{Profile, build, cargo, target_directory};

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It ran and held.
    Passed,
    /// It ran and did not hold.
    Failed,
    /// It said that it could not run here, or is marked `#[ignore]`.
    Skipped,
}

/// The last known result of every test: suite (the test binary's source), test name, outcome.
pub type Results = BTreeMap<String, BTreeMap<String, Outcome>>;

/// Where the results are kept.
pub fn results_file() -> Result<PathBuf> {
    Ok(target_directory()?.join("test-results.json"))
}

/// The results of the last run; empty when there was none.
pub fn load_results() -> Result<Results> {
    match fs::read(results_file()?) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(_) => Ok(Results::new()),
    }
}

/// Builds the fixture images that are not in the cache.
pub fn fixtures() -> Result<()> {
    for fixture in Fixture::ALL {
        println!("fixture {}: {}", fixture.reference(), fixture.archive()?.display());
    }
    Ok(())
}

/// Runs the whole suite, or the tests whose name contains a filter.
pub fn run(arguments: &[String]) -> Result<()> {
    let programs = build(Profile::Tests)?;
    let gantry = programs.get("gantry").context("the build made no gantry program")?;
    let root = rustix::process::geteuid().is_root();
    let skips = target_directory()?.join("test-skips.txt");
    let _ = fs::remove_file(&skips);
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]).args(arguments);
    if root {
        fixtures()?;
    } else {
        println!("SKIP tests/privileged: containers need root");
        command.args(["--exclude", "privileged-tests"]);
    }
    command.env("GANTRY_BIN", gantry).env("GANTRY_SKIPS", &skips).stdin(Stdio::null());
    // One pipe for both streams: cargo names the suites on stderr, libtest its results on stdout.
    let (reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("run cargo test")?;
    // The command owns the writing ends; the reader ends only when they are gone.
    drop(command);
    let mut results = if arguments.is_empty() { Results::new() } else { load_results()? };
    collect(BufReader::new(reader), &mut results)?;
    let status = child.wait()?;
    mark_skips(&skips, &mut results);
    fs::write(results_file()?, serde_json::to_vec_pretty(&results)?)?;
    summary(&results);
    ensure!(status.success(), "cargo test ended with {status}");
    Ok(())
}

/// Echoes the output of `cargo test` and files the results in it.
fn collect(output: impl std::io::BufRead, results: &mut Results) -> Result<()> {
    let mut suite = String::new();
    for line in output.lines() {
        let line = line?;
        println!("{line}");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["Running", "unittests", path, binary] => suite = format!("{} {path}", crate_of(binary)),
            ["Running", path, ..] => (*path).clone_into(&mut suite),
            ["Doc-tests", name] => suite = format!("doc {name}"),
            ["test", name, "...", rest @ ..] => {
                // Another test's word on stderr may stand between, or right behind.
                let outcome = match rest {
                    ["ignored" | "ignored,", ..] => Outcome::Skipped,
                    rest if rest.iter().any(|word| matches!(*word, "ok" | "okSKIP")) => Outcome::Passed,
                    _ => Outcome::Failed,
                };
                results.entry(suite.clone()).or_default().insert((*name).to_owned(), outcome);
            }
            _ => {}
        }
    }
    Ok(())
}

/// `(target/…/deps/store-0123456789abcdef)` is the test binary of `store`.
fn crate_of(binary: &str) -> &str {
    let name = binary.trim_matches(['(', ')']).rsplit('/').next().unwrap_or_default();
    name.rsplit_once('-').map_or(name, |(name, _)| name)
}

fn mark_skips(path: &std::path::Path, results: &mut Results) {
    let Ok(file) = File::open(path) else { return };
    for line in BufReader::new(file).lines().map_while(std::io::Result::ok) {
        let name = line.split('\t').next().unwrap_or_default();
        for tests in results.values_mut() {
            if let Some(outcome) = tests.get_mut(name)
                && *outcome == Outcome::Passed
            {
                *outcome = Outcome::Skipped;
            }
        }
    }
}

fn summary(results: &Results) {
    let count = |wanted| results.values().flat_map(BTreeMap::values).filter(|outcome| **outcome == wanted).count();
    let (passed, failed, skipped) = (count(Outcome::Passed), count(Outcome::Failed), count(Outcome::Skipped));
    println!("\n{passed} passed, {failed} failed, {skipped} skipped in {} suites", results.len());
    for (suite, tests) in results {
        for (test, outcome) in tests.iter().filter(|(_, outcome)| **outcome != Outcome::Passed) {
            println!("  {outcome:?}: {suite} {test}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_from_the_output_of_cargo_test() {
        let output = "     Running unittests src/lib.rs (target/x/debug/deps/store-0a1b)\n\
                      test layers::chain ... ok\n\
                      test layers::slow ... ignored, needs an hour\n\
                      test layers::noisy ... SKIP ok\n\
                      \x20    Running tests/krn.rs (target/x/debug/deps/krn-0a1b)\n\
                      test krn_01_a ... FAILED\n\
                      test result: FAILED. 0 passed; 1 failed\n";
        let mut results = Results::new();
        collect(output.as_bytes(), &mut results).expect("readable");
        assert_eq!(results["store src/lib.rs"]["layers::chain"], Outcome::Passed);
        assert_eq!(results["store src/lib.rs"]["layers::slow"], Outcome::Skipped);
        assert_eq!(results["store src/lib.rs"]["layers::noisy"], Outcome::Passed);
        assert_eq!(results["tests/krn.rs"]["krn_01_a"], Outcome::Failed);
        assert_eq!(results.values().map(BTreeMap::len).sum::<usize>(), 4);
    }
}
