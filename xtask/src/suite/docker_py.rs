//! The integration tests in the PyPI source distribution of the `docker` SDK for Python, in several editions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::report::Results;
use super::{Stage, Suite, python};

/// The edition that `docker-py` alone means.
const VERSION: &str = "6.1.3";
/// The first edition whose distribution no longer carries its tests.
const WITHOUT_TESTS: (u32, u32) = (7, 1);

/// Since which edition which requirements: what its own files name, at their versions where these run on today's Python.
const REQUIREMENTS: [((u32, u32), [&str; 7]); 4] = [
    (
        (7, 1),
        [
            "packaging==21.3",
            "paramiko==2.11.0",
            "requests==2.32.3",
            "urllib3==1.26.18",
            "websocket-client==1.3.3",
            "pytest==7.4.2",
            "pytest-timeout==2.1.0",
        ],
    ),
    (
        (7, 0),
        [
            "packaging==21.3",
            "paramiko==2.11.0",
            "requests==2.31.0",
            "urllib3==1.26.18",
            "websocket-client==1.3.3",
            "pytest==7.4.2",
            "pytest-timeout==2.1.0",
        ],
    ),
    (
        (6, 0),
        [
            "packaging==21.3",
            "paramiko==2.11.0",
            "requests==2.28.1",
            "urllib3==1.26.11",
            "websocket-client==1.3.3",
            "pytest==7.1.2",
            "pytest-timeout==2.1.0",
        ],
    ),
    (
        (5, 0),
        [
            // Its version classes warn of nothing; those of later ones, and of today's Python, fail these tests.
            "setuptools==58.5.3",
            "paramiko==2.11.0",
            "requests==2.28.1",
            "urllib3==1.26.11",
            "websocket-client==0.56.0",
            "pytest==7.1.2",
            "pytest-timeout==2.1.0",
        ],
    ),
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
    /// Fetches source and requirements of an edition (6.1.3 when none is named) unless they are there. `tests` is a
    /// checkout of the project, for editions whose distribution has no tests.
    pub fn prepare(directory: &Path, edition: Option<&str>, tests: Option<&Path>) -> Result<Self> {
        let edition = edition.unwrap_or(VERSION);
        let Some((major, minor)) = edition
            .split_once('.')
            .and_then(|(major, rest)| Some((major.parse::<u32>().ok()?, rest.split('.').next()?.parse::<u32>().ok()?)))
        else {
            bail!("{edition:?} is no edition of the docker SDK");
        };
        let requirements = REQUIREMENTS.iter().find(|(since, _)| *since <= (major, minor));
        let (_, requirements) =
            requirements.with_context(|| format!("no requirements are known for edition {edition}"))?;
        ensure!(
            tests.is_some() || (major, minor) < WITHOUT_TESTS,
            "the distribution of {edition} carries no tests: name a checkout with --tests DIRECTORY"
        );
        let python = python::environment(directory, requirements)?;
        let source = match tests {
            Some(checkout) => checkout.canonicalize().with_context(|| format!("open {}", checkout.display()))?,
            None => python::distribution(&python, directory, "docker", edition)?,
        };
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
            .env("SETUPTOOLS_USE_DISTUTILS", "local")
            .current_dir(&self.source)
            .env("DOCKER_HOST", stage.daemon.host())
            .env("HOME", home);
        python::pytest(command, "tests/integration/", &self.directory, stage.daemon.engine())
    }
}
