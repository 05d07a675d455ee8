//! Running cargo and other programs from the workspace's root.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use privileged_tests::fixtures::workspace;
use serde_json::Value;

/// A command that runs in the workspace's root.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace());
    command
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command and demands success.
pub fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", text(command));
    let status = command.status().with_context(|| format!("run {}", text(command)))?;
    ensure!(status.success(), "{} ended with {status}", text(command));
    Ok(())
}

/// Output of a command that must succeed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("run {}", text(command)))?;
    ensure!(output.status.success(), "{} ended with {}", text(command), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// How `build` builds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// With everything the tests need, in one resolution of features, so that `cargo test` compiles nothing twice.
    Tests,
    /// Optimised, the installed programs only.
    Release,
}

/// Builds the installed programs; gives their paths by name.
pub fn build(profile: Profile) -> Result<BTreeMap<String, PathBuf>> {
    let mut command = cargo();
    command.args(["build", "--message-format=json-render-diagnostics"]);
    match profile {
        Profile::Tests => command.args(["--workspace", "--bins", "--tests"]),
        Profile::Release => command.args(["--release", "-p", "gantry", "-p", "gantry-monitor"]),
    };
    println!("$ {}", text(&command));
    let messages = output(&mut command)?;
    let mut programs = BTreeMap::new();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if message["profile"]["test"] == true {
            continue;
        }
        if let (Some(path), Some(name)) = (message["executable"].as_str(), message["target"]["name"].as_str()) {
            programs.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    Ok(programs)
}

/// The packages of this workspace, from `cargo metadata`.
pub fn metadata() -> Result<Value> {
    let text = output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    Ok(serde_json::from_str(&text)?)
}

/// The directory of build results.
pub fn target_directory() -> Result<PathBuf> {
    let metadata = metadata()?;
    metadata["target_directory"].as_str().map(PathBuf::from).context("cargo metadata names no target directory")
}

fn text(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
