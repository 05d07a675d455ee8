//! Client libraries that others wrote, installed from their package registries.
//!
//! ```text
//! <clients>/python-<key>/    a virtual environment with what a requirements file names
//! <clients>/node-<key>/      node_modules of a lock file
//! ```
//!
//! `<clients>` is `clients` beside the cache of fixtures; the key is a digest of the file that names the versions.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::archive::sha256;
use crate::fixtures::{cache_directory, workspace};

/// Directory of our own programs that use the libraries.
pub fn programs() -> PathBuf {
    workspace().join("tests/clients")
}

/// The Python interpreter of an environment with the packages of `tests/clients/python/<set>.txt`.
///
/// # Errors
/// Why it cannot be had on this machine: no Python, no network.
pub fn python(set: &str) -> Result<PathBuf, String> {
    let wanted = programs().join(format!("python/{set}.txt"));
    let environment = installed("python", &[&wanted], |directory| {
        attempt(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
        let mut pip = Command::new(directory.join("bin/python"));
        attempt(pip.args(["-m", "pip", "install", "-q", "--no-deps", "-r"]).arg(&wanted))
    })?;
    Ok(environment.join("bin/python"))
}

/// A directory with the `node_modules` of `tests/clients/node`.
///
/// # Errors
/// Why it cannot be had on this machine: no npm, no network, a Node older than the libraries take.
pub fn node() -> Result<PathBuf, String> {
    let version = Command::new("node").arg("--version").output().map_err(|error| format!("node: {error}"))?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let major: u32 = version.trim_start_matches('v').split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0);
    if major < 20 {
        return Err(format!("node {version} is older than the libraries take"));
    }
    let [manifest, lock] = ["package.json", "package-lock.json"].map(|name| programs().join("node").join(name));
    installed("node", &[&manifest, &lock], |directory| {
        fs::create_dir_all(directory).map_err(|error| error.to_string())?;
        for file in [&manifest, &lock] {
            let name = file.file_name().expect("a file name");
            fs::copy(file, directory.join(name)).map_err(|error| error.to_string())?;
        }
        // No build of native parts: the libraries do without.
        let mut npm = Command::new("npm");
        attempt(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(directory))
    })
}

/// The directory of one installation; made by `install` when it is not there, by one process at a time.
fn installed(kind: &str, files: &[&Path], install: impl Fn(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let said = |error: std::io::Error| error.to_string();
    let clients = cache_directory().with_file_name("clients");
    fs::create_dir_all(&clients).map_err(said)?;
    let mut content = Vec::new();
    for file in files {
        content.extend(fs::read(file).map_err(said)?);
    }
    let directory = clients.join(format!("{kind}-{}", &sha256(&content).hex()[..12]));
    let ready = directory.with_extension("ready");
    let lock = File::create(directory.with_extension("lock")).map_err(said)?;
    lock.lock().map_err(said)?;
    if !ready.exists() {
        let _ = fs::remove_dir_all(&directory);
        install(&directory)?;
        File::create(ready).map_err(said)?;
    }
    Ok(directory)
}

fn attempt(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}", text.lines().rev().take(3).collect::<Vec<_>>().join(" / ")))
}
