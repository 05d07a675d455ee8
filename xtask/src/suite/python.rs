//! What the suites in Python share: an environment, a source distribution, and the reading of pytest.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use privileged_tests::Engine;
use regex_lite::Regex;

use super::report::{Outcome, Results};
use crate::cargo::run;

/// The Python of an environment with the requirements installed; made unless it is there with just these.
pub fn environment(directory: &Path, requirements: &[&str]) -> Result<PathBuf> {
    let environment = directory.join("venv");
    let python = environment.join("bin/python");
    let ready = environment.join("ready");
    let wanted = requirements.join("\n");
    if fs::read_to_string(&ready).is_ok_and(|has| has == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    run(Command::new(&python).args(["-m", "pip", "install", "-q"]).args(requirements))?;
    fs::write(ready, wanted)?;
    Ok(python)
}

/// The unpacked source distribution of a package; downloaded unless it is there.
pub fn distribution(python: &Path, directory: &Path, package: &str, version: &str) -> Result<PathBuf> {
    let source = directory.join(format!("{package}-{version}"));
    if source.exists() {
        return Ok(source);
    }
    let wanted = format!("{package}=={version}");
    run(Command::new(python)
        .args(["-m", "pip", "download", "-q", "--no-deps", "--no-binary", package, &wanted, "-d"])
        .arg(directory))?;
    let archive = directory.join(format!("{package}-{version}.tar.gz"));
    run(Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(directory))?;
    Ok(source)
}

/// Runs pytest, shows each test as it ends, keeps the whole output in `ENGINE.out`, and gives the results under the
/// tests' names without the prefix.
pub fn pytest(mut command: Command, prefix: &str, directory: &Path, engine: Engine) -> Result<Results> {
    let (reader, writer) = std::io::pipe()?;
    command.env("COLUMNS", "400").stdin(Stdio::null());
    let mut child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
    drop(command);
    let mut log = File::create(directory.join(format!("{}.out", super::name(engine))))?;
    let mut results = Results::new();
    for line in BufReader::new(reader).lines() {
        let line = line?;
        std::io::Write::write_all(&mut log, format!("{line}\n").as_bytes())?;
        if let Some((name, outcome)) = note(&line, prefix, &mut results)? {
            println!("{outcome:>8} {name}");
        }
    }
    child.wait().context("wait for pytest")?;
    Ok(results)
}

/// Files one line of pytest: `NAME PASSED`, and in the summary `FAILED NAME - reason`; gives name and outcome of a test
/// that ended. A test whose name has a parameter may have spaces in it.
fn note(line: &str, prefix: &str, results: &mut Results) -> Result<Option<(String, String)>> {
    let ended = Regex::new(r"^(\S+?\.py::.+?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)(?: |$)")?;
    let reason = Regex::new(r"^(?:FAILED|ERROR) (\S+?\.py::.+?) - (.*)$")?;
    if let Some(found) = reason.captures(line) {
        let name = found[1].strip_prefix(prefix).unwrap_or(&found[1]);
        results.insert(name.to_owned(), Outcome::Failed(found[2].to_owned()));
        return Ok(None);
    }
    let Some(found) = ended.captures(line) else { return Ok(None) };
    let name = found[1].strip_prefix(prefix).unwrap_or(&found[1]).to_owned();
    let outcome = match &found[2] {
        "PASSED" | "XPASS" => Outcome::Passed,
        "SKIPPED" | "XFAIL" => Outcome::Skipped,
        _ => Outcome::Failed("no reason given".to_owned()),
    };
    // A test that passed and whose clean-up then fails ends twice: the failure stays.
    if outcome != Outcome::Passed || !matches!(results.get(&name), Some(Outcome::Failed(_))) {
        results.insert(name.clone(), outcome);
    }
    Ok(Some((name, found[2].to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_and_reasons_are_read() {
        let mut results = Results::new();
        for line in [
            "tests/integration/a_test.py::A::test_one PASSED [  1%]",
            "tests/integration/a_test.py::A::test_two FAILED [  2%]",
            "tests/integration/a_test.py::A::test_three SKIPPED (not here) [  3%]",
            "tests/integration/a_test.py::A::test_four[two words] PASSED [  4%]",
            "tests/integration/a_test.py::A::test_five PASSED [  5%]",
            "tests/integration/a_test.py::A::test_five ERROR [  5%]",
            "FAILED tests/integration/a_test.py::A::test_two - docker.errors.APIError: 501",
        ] {
            note(line, "tests/integration/", &mut results).expect("readable");
        }
        assert_eq!(results["a_test.py::A::test_one"], Outcome::Passed);
        assert_eq!(results["a_test.py::A::test_two"], Outcome::Failed("docker.errors.APIError: 501".to_owned()));
        assert_eq!(results["a_test.py::A::test_three"], Outcome::Skipped);
        assert_eq!(results["a_test.py::A::test_four[two words]"], Outcome::Passed);
        assert!(matches!(results["a_test.py::A::test_five"], Outcome::Failed(_)));
    }
}
