//! `cargo xtask suite docker-py|aiodocker|bollard`: test suites that others wrote, on Gantry and beside it on Docker.
//!
//! The suite's source comes from its package registry (`pip download`, `cargo fetch`) into `target/suites`. Both engines
//! get the same preparation: images under their Docker Hub names, and a local registry that holds the same ones as mirror
//! and as private registry. The report lists what the reference passes and Gantry does not, which is what counts.
//!
//! | argument                          | meaning                                                                 |
//! |-----------------------------------|-------------------------------------------------------------------------|
//! | `docker-py`, `aiodocker`, `bollard` | which suite                                                           |
//! | `docker-py@5.0.3`                 | another edition of `docker-py` than 6.1.3, with results of its own      |
//! | `--tests DIRECTORY`               | a checkout of `docker-py`: its tests, for editions that ship none (7.1 and later) |
//! | `--only ENGINE`                   | `gantry` or `dockerd`; the other's last results are used for the report |
//! | `TEXT`                            | only the tests whose name contains it; other results are kept           |

mod aiodocker;
mod bollard;
mod docker_py;
mod python;
mod report;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use privileged_tests::hub::HubImage;
use privileged_tests::registry::Registry;
use privileged_tests::{Daemon, Engine, Options, hub};
use serde_json::json;

use crate::cargo::{Profile, build, target_directory};
use report::Results;

const USAGE: &str =
    "usage: cargo xtask suite docker-py[@EDITION]|aiodocker|bollard [--tests DIRECTORY] [--only gantry|dockerd] [TEXT]";

/// A suite that was fetched and made ready to run.
trait Suite {
    /// Runs the tests whose name contains the filter against an engine.
    fn run(&self, stage: &Stage, filter: Option<&str>) -> Result<Results>;

    /// Images that it wants beside those of `hub::images`.
    fn images(&self) -> Result<Vec<HubImage>> {
        Ok(Vec::new())
    }
}

/// What both engines get: an engine with the Hub's images and the registry that holds the same ones.
pub struct Stage {
    /// The engine.
    pub daemon: Daemon,
    /// The registry: mirror of the Hub, and private registry.
    pub registry: Registry,
}

/// What the command line asks for.
struct Plan {
    /// As given, with the edition.
    suite: String,
    /// A checkout with the suite's tests.
    tests: Option<PathBuf>,
    engines: Vec<Engine>,
    filter: Option<String>,
}

/// Runs a suite and prints the comparison.
pub fn run(arguments: &[String]) -> Result<()> {
    let plan = parse(arguments)?;
    let directory = target_directory()?.join("suites").join(&plan.suite);
    fs::create_dir_all(&directory)?;
    let (name, edition) = match plan.suite.split_once('@') {
        Some((name, edition)) => (name, Some(edition)),
        None => (plan.suite.as_str(), None),
    };
    let tests = plan.tests.as_deref();
    let suite: Box<dyn Suite> = match (name, edition, tests) {
        ("docker-py", _, _) => Box::new(docker_py::DockerPy::prepare(&directory, edition, tests)?),
        ("aiodocker", None, None) => Box::new(aiodocker::AioDocker::prepare(&directory)?),
        ("bollard", None, None) => Box::new(bollard::Bollard::prepare(&directory)?),
        _ => bail!(USAGE),
    };
    for engine in &plan.engines {
        let stage = stage(*engine, &suite.images()?)?;
        println!("\n=== {} on {}", plan.suite, self::name(*engine));
        let mut results = if plan.filter.is_some() { load(&directory, *engine)? } else { Results::new() };
        results.extend(suite.run(&stage, plan.filter.as_deref())?);
        fs::write(file(&directory, *engine), serde_json::to_vec_pretty(&results)?)?;
        fs::write(directory.join(format!("{}.log", self::name(*engine))), stage.daemon.log())?;
    }
    report::print(&load(&directory, Engine::Dockerd)?, &load(&directory, Engine::Gantry)?);
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Plan> {
    let Some((suite, mut rest)) = arguments.split_first() else { bail!(USAGE) };
    let mut plan =
        Plan { suite: suite.clone(), tests: None, engines: vec![Engine::Dockerd, Engine::Gantry], filter: None };
    while let [argument, others @ ..] = rest {
        rest = others;
        match (argument.as_str(), others) {
            ("--only", [engine, others @ ..]) => {
                plan.engines = match engine.as_str() {
                    "gantry" => vec![Engine::Gantry],
                    "dockerd" => vec![Engine::Dockerd],
                    _ => bail!(USAGE),
                };
                rest = others;
            }
            ("--tests", [directory, others @ ..]) => {
                plan.tests = Some(directory.into());
                rest = others;
            }
            (text, _) if !text.starts_with('-') && plan.filter.is_none() => plan.filter = Some(text.to_owned()),
            _ => bail!(USAGE),
        }
    }
    Ok(plan)
}

/// Starts the registry and an engine that has it as mirror, and loads the images.
fn stage(engine: Engine, further: &[HubImage]) -> Result<Stage> {
    let registry = hub::registry(None)?.context("docker-registry is not installed")?;
    further.iter().for_each(|image| hub::publish(&registry, image, None));
    let binary = match engine {
        Engine::Gantry => Some(program()?),
        Engine::Dockerd => None,
    };
    let daemon = Daemon::start(Options {
        engine: Some(engine),
        images: Vec::new(),
        // Suites that run a registry in a container reach it at the bridge's address.
        config: Some(json!({"registry-mirrors": [registry.url()], "insecure-registries": ["10.0.0.0/8"]})),
        binary,
        ..Options::default()
    });
    for image in hub::images()?.iter().chain(further) {
        let archive = image.archive.display().to_string();
        let loaded = daemon.docker(&["load", "-q", "-i", &archive]);
        let reference = loaded.ok().trim_start_matches("Loaded image: ").to_owned();
        for name in image.names.iter().filter(|name| **name != reference) {
            daemon.docker(&["tag", &reference, name]).exits(0);
        }
        if !image.names.contains(&reference.as_str()) {
            daemon.docker(&["rmi", &reference]).exits(0);
        }
    }
    Ok(Stage { daemon, registry })
}

/// `GANTRY_BIN`, or a fresh build.
fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("GANTRY_BIN") {
        return Ok(path.into());
    }
    let programs = build(Profile::Tests)?;
    programs.get("gantry").cloned().context("the build made no gantry program")
}

fn name(engine: Engine) -> &'static str {
    match engine {
        Engine::Gantry => "gantry",
        Engine::Dockerd => "dockerd",
    }
}

fn file(directory: &Path, engine: Engine) -> PathBuf {
    directory.join(format!("{}.json", name(engine)))
}

fn load(directory: &Path, engine: Engine) -> Result<Results> {
    match fs::read(file(directory, engine)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(_) => Ok(Results::new()),
    }
}
