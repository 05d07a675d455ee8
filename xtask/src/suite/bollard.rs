//! The tests that the crate `bollard` ships.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::report::{Outcome, Results};
use super::{Stage, Suite};
use crate::cargo::{output, run};

const VERSION: &str = "0.21.1";
/// Swarm and plugins apart, as with the other suite.
const LEFT_OUT: [&str; 7] =
    ["config_test", "node_test", "plugin_test", "secret_test", "service_test", "swarm_test", "task_test"];

/// The suite, built.
pub struct Bollard {
    source: PathBuf,
    /// Test programs with their short names.
    programs: Vec<(String, PathBuf)>,
    directory: PathBuf,
}

// === impl Bollard ===

impl Bollard {
    /// Fetches the crate and builds its tests; cargo does only what is missing.
    pub fn prepare(directory: &Path) -> Result<Self> {
        let source = directory.join(format!("bollard-{VERSION}"));
        if !source.exists() {
            fetch(directory, &source)?;
        }
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(["test", "--no-run", "--tests", "--features", "chrono,websocket,test_websocket"]);
        command.args(["--message-format=json-render-diagnostics", "--config", "build.rustflags=[]"]);
        command.current_dir(&source).env("CARGO_TARGET_DIR", directory.join("target"));
        let messages = output(&mut command)?;
        let mut programs = Vec::new();
        for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            if let (Some(path), Some(name)) = (message["executable"].as_str(), message["target"]["name"].as_str())
                && message["target"]["kind"][0] == "test"
                && !LEFT_OUT.contains(&name)
            {
                programs.push((name.to_owned(), PathBuf::from(path)));
            }
        }
        programs.sort();
        Ok(Self { source, programs, directory: directory.to_owned() })
    }

    /// One test in a process of its own, so that one that hangs costs only itself.
    fn test(&self, stage: &Stage, program: &Path, test: &str, log: &mut fs::File) -> Result<Outcome> {
        let mut command = Command::new("timeout");
        command.args(["-k", "5", "120"]).arg(program).args(["--exact", test, "--nocapture", "--test-threads=1"]);
        let private = stage.registry.reference("").trim_end_matches('/').replace("127.0.0.1", "localhost");
        command.env("REGISTRY_HTTP_ADDR", private).env("DOCKER_HOST", stage.daemon.host());
        // An empty password: the registry asks for none, but the suite always sends what it has.
        command.env("REGISTRY_PASSWORD", "unused").env("HOME", stage.daemon.scratch("home")).env("RUST_BACKTRACE", "0");
        let ran = command.current_dir(&self.source).stdin(Stdio::null()).output().context("run a test of bollard")?;
        let text = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        writeln!(log, "=== {test}: {}\n{text}", ran.status)?;
        Ok(match ran.status.code() {
            Some(0) => Outcome::Passed,
            Some(124 | 137) => Outcome::Failed("not ended after 120 s".to_owned()),
            _ => Outcome::Failed(complaint(&text)),
        })
    }
}

impl Suite for Bollard {
    fn run(&self, stage: &Stage, filter: Option<&str>) -> Result<Results> {
        let mut log = fs::File::create(self.directory.join(format!("{}.out", super::name(stage.daemon.engine()))))?;
        let mut results = Results::new();
        for (name, program) in &self.programs {
            let list = output(Command::new(program).args(["--list", "--format=terse"]).current_dir(&self.source))?;
            for test in list.lines().filter_map(|line| line.strip_suffix(": test")) {
                let full = format!("{name}::{test}");
                if filter.is_none_or(|filter| full.contains(filter)) {
                    let outcome = self.test(stage, program, test, &mut log)?;
                    println!("{:>8} {full}", if outcome == Outcome::Passed { "PASSED" } else { "FAILED" });
                    results.insert(full, outcome);
                }
            }
        }
        Ok(results)
    }
}

/// Lets cargo download the crate for a scratch project and copies its source.
fn fetch(directory: &Path, source: &Path) -> Result<()> {
    let scratch = directory.join("scratch");
    fs::create_dir_all(scratch.join("src"))?;
    fs::write(scratch.join("src/lib.rs"), "")?;
    let manifest = format!(
        "[package]\nname = \"scratch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[dependencies]\nbollard = \"={VERSION}\"\n[workspace]\n"
    );
    fs::write(scratch.join("Cargo.toml"), manifest)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(&cargo).arg("fetch").current_dir(&scratch))?;
    let metadata = output(Command::new(&cargo).args(["metadata", "--format-version=1"]).current_dir(&scratch))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let Some(package) = packages.iter().find(|package| package["name"] == "bollard") else {
        bail!("cargo fetched no bollard");
    };
    let manifest = package["manifest_path"].as_str().context("a package has a manifest")?;
    let from = Path::new(manifest).parent().context("a manifest has a directory")?;
    run(Command::new("cp").arg("-r").arg(from).arg(source))?;
    // It is no member of the workspace around it.
    let mut file = fs::File::options().append(true).open(source.join("Cargo.toml"))?;
    file.write_all(b"\n[workspace]\n")?;
    Ok(())
}

/// The line that says most about a failed test.
fn complaint(text: &str) -> String {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.contains("panicked at") {
            return lines.next().unwrap_or(line).chars().take(300).collect();
        }
    }
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output").to_owned()
}
