//! The tests in the PyPI source distribution of `aiodocker`, the asynchronous SDK for Python.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use privileged_tests::hub::{self, HubImage};

use super::report::Results;
use super::{Stage, Suite, python};

const VERSION: &str = "0.27.0";
/// What the suite names, at the versions it names; its own reports and the linters apart.
const REQUIREMENTS: [&str; 9] = [
    "aiohttp==3.13.5",
    "async-timeout==5.0.1",
    "asyncssh==2.21.0",
    "packaging==26.1",
    "paramiko==3.5.1",
    "pytest==9.0.3",
    "pytest-asyncio==1.3.0",
    "pytest-timeout==2.4.0",
    "testcontainers==4.14.2",
];
/// Swarm in a Docker of its own inside a container, from an image that the Hub alone has.
const LEFT_OUT: [&str; 5] = [
    "tests/test_configs.py",
    "tests/test_nodes.py",
    "tests/test_secrets.py",
    "tests/test_services.py",
    "tests/test_swarm.py",
];

/// The suite, unpacked, with a Python environment.
pub struct AioDocker {
    source: PathBuf,
    python: PathBuf,
    directory: PathBuf,
}

// === impl AioDocker ===

impl AioDocker {
    /// Fetches source and requirements unless they are there.
    pub fn prepare(directory: &Path) -> Result<Self> {
        let python = python::environment(directory, &REQUIREMENTS)?;
        let source = python::distribution(&python, directory, "aiodocker", VERSION)?;
        Ok(Self { source, python, directory: directory.to_owned() })
    }
}

impl Suite for AioDocker {
    fn run(&self, stage: &Stage, filter: Option<&str>) -> Result<Results> {
        let home = stage.daemon.scratch("home");
        fs::create_dir_all(home.join(".docker"))?;
        fs::write(home.join(".docker/config.json"), "{}")?;
        let mut command = Command::new(&self.python);
        // Not the suite's own options: they ask for coverage reports.
        command.args(["-m", "pytest", "-v", "-rfE", "--tb=short", "--timeout=120", "-p", "no:cacheprovider"]);
        command.args(["-o", "addopts=", "tests"]).args(LEFT_OUT.map(|path| format!("--ignore={path}")));
        if let Some(filter) = filter {
            command.args(["-k", filter]);
        }
        command.current_dir(&self.source).env("PYTHONPATH", &self.source).env("HOME", home);
        // The helper that removes what is left would be an image of the Hub.
        command.env("DOCKER_HOST", stage.daemon.host()).env("TESTCONTAINERS_RYUK_DISABLED", "true");
        python::pytest(command, "tests/", &self.directory, stage.daemon.engine())
    }

    fn images(&self) -> Result<Vec<HubImage>> {
        hub::large()
    }
}
