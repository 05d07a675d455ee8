//! The integration tests in the PyPI source distribution of the `docker` SDK for Python.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use regex_lite::Regex;

use super::report::{Outcome, Results};
use super::{Stage, Suite};
use crate::cargo::run;

const VERSION: &str = "6.1.3";
/// What the suite's own requirement files name, at the versions they name.
const REQUIREMENTS: [&str; 7] = [
    "packaging==21.3",
    "paramiko==2.11.0",
    "requests==2.28.1",
    "urllib3==1.26.11",
    "websocket-client==1.3.3",
    "pytest==7.1.2",
    "pytest-timeout==2.1.0",
];
/// Swarm, plugins and stored credentials: not what is compared here.
const LEFT_OUT: [&str; 9] = [
    "tests/integration/api_config_test.py",
    "tests/integration/api_plugin_test.py",
    "tests/integration/api_secret_test.py",
    "tests/integration/api_service_test.py",
    "tests/integration/api_swarm_test.py",
    "tests/integration/credentials",
    "tests/integration/models_nodes_test.py",
    "tests/integration/models_services_test.py",
    "tests/integration/models_swarm_test.py",
];

/// The suite, unpacked, with a Python environment.
pub struct DockerPy {
    source: PathBuf,
    python: PathBuf,
    directory: PathBuf,
}

// === impl DockerPy ===

impl DockerPy {
    /// Fetches source and requirements unless they are there.
    pub fn prepare(directory: &Path) -> Result<Self> {
        let source = directory.join(format!("docker-{VERSION}"));
        let environment = directory.join("venv");
        let python = environment.join("bin/python");
        let ready = environment.join("ready");
        if !ready.exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
            run(Command::new(&python).args(["-m", "pip", "install", "-q"]).args(REQUIREMENTS))?;
            let package = format!("docker=={VERSION}");
            run(Command::new(&python)
                .args(["-m", "pip", "download", "-q", "--no-deps", "--no-binary", "docker", &package, "-d"])
                .arg(directory))?;
            run(Command::new("tar")
                .arg("xzf")
                .arg(directory.join(format!("docker-{VERSION}.tar.gz")))
                .arg("-C")
                .arg(directory))?;
            fs::write(ready, VERSION)?;
        }
        Ok(Self { source, python, directory: directory.to_owned() })
    }
}

impl Suite for DockerPy {
    fn run(&self, stage: &Stage, filter: Option<&str>) -> Result<Results> {
        let home = stage.daemon.scratch("home");
        // Without a configuration file the SDK keeps its contexts in the working directory.
        fs::create_dir_all(home.join(".docker"))?;
        fs::write(home.join(".docker/config.json"), "{}")?;
        let mut command = Command::new(&self.python);
        command.args(["-m", "pytest", "-v", "-rfE", "--tb=short", "--timeout=120", "-p", "no:cacheprovider"]);
        command.arg("tests/integration").args(LEFT_OUT.map(|path| format!("--ignore={path}")));
        if let Some(filter) = filter {
            command.args(["-k", filter]);
        }
        command
            .current_dir(&self.source)
            .env("DOCKER_HOST", stage.daemon.host())
            .env("HOME", home)
            .env("COLUMNS", "400");
        let (reader, writer) = std::io::pipe()?;
        let mut child = command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).spawn()?;
        drop(command);
        let engine = super::name(stage.daemon.engine());
        let mut log = File::create(self.directory.join(format!("{engine}.out")))?;
        let mut results = Results::new();
        for line in BufReader::new(reader).lines() {
            let line = line?;
            std::io::Write::write_all(&mut log, format!("{line}\n").as_bytes())?;
            if let Some(name) = note(&line, &mut results)? {
                println!("{:>8} {name}", line.split_whitespace().nth(1).unwrap_or_default());
            }
        }
        child.wait().context("wait for pytest")?;
        Ok(results)
    }
}

/// Files one line of pytest: `NAME PASSED`, and in the summary `FAILED NAME - reason`; gives the name of a test that ended.
fn note(line: &str, results: &mut Results) -> Result<Option<String>> {
    let ended = Regex::new(r"^tests/integration/(\S+::\S+) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)")?;
    let reason = Regex::new(r"^(?:FAILED|ERROR) tests/integration/(\S+::\S+) - (.*)$")?;
    if let Some(found) = ended.captures(line) {
        let outcome = match &found[2] {
            "PASSED" | "XPASS" => Outcome::Passed,
            "SKIPPED" | "XFAIL" => Outcome::Skipped,
            _ => Outcome::Failed("no reason given".to_owned()),
        };
        results.insert(found[1].to_owned(), outcome);
        return Ok(Some(found[1].to_owned()));
    }
    if let Some(found) = reason.captures(line) {
        results.insert(found[1].to_owned(), Outcome::Failed(found[2].to_owned()));
    }
    Ok(None)
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
            "FAILED tests/integration/a_test.py::A::test_two - docker.errors.APIError: 501",
        ] {
            note(line, &mut results).expect("readable");
        }
        assert_eq!(results["a_test.py::A::test_one"], Outcome::Passed);
        assert_eq!(results["a_test.py::A::test_two"], Outcome::Failed("docker.errors.APIError: 501".to_owned()));
        assert_eq!(results["a_test.py::A::test_three"], Outcome::Skipped);
    }
}
