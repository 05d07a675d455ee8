//! `cargo xtask soak disk-crash [N]`, `soak network-crash [N]` and `soak networks [NETWORKS CONTAINERS CLIENTS]`, on an optimised build.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use privileged_tests::net_load::{NetLoad, config};
use privileged_tests::{Daemon, Engine, Options, disk_crash, net_crash};

use crate::cargo::{Profile, build};

/// Kills the daemon in the middle of changes of networks, 200 times or as often as told.
pub fn crash(arguments: &[String]) -> Result<()> {
    let rounds = number(arguments, 0, 200)?;
    let seed = number(arguments, 1, std::process::id() as usize)?;
    let options = Options { engine: Some(Engine::Gantry), binary: Some(program()?), ..Options::default() };
    println!("{rounds} rounds, seed {seed}");
    net_crash::run(&Daemon::start(options), u32::try_from(rounds)?, seed as u64);
    Ok(())
}

/// Kills the daemon while containers, images and volumes come and go, 500 times or as often as told.
pub fn disk(arguments: &[String]) -> Result<()> {
    let rounds = number(arguments, 0, 500)?;
    let seed = number(arguments, 1, std::process::id() as usize)?;
    let options = Options { engine: Some(Engine::Gantry), binary: Some(program()?), ..Options::default() };
    println!("{rounds} rounds, seed {seed}");
    disk_crash::run(&Daemon::start(options), u32::try_from(rounds)?, seed as u64);
    Ok(())
}

/// Makes and removes 200 networks of 5 containers each, or as many as told.
pub fn networks(arguments: &[String]) -> Result<()> {
    let networks = number(arguments, 0, 200)?;
    let load = NetLoad { networks, containers: number(arguments, 1, 5)?, clients: number(arguments, 2, 16)? };
    let binary = Some(program()?);
    let options = Options { engine: Some(Engine::Gantry), binary, config: Some(config()), ..Options::default() };
    println!("{load:?}");
    load.put(&Daemon::start(options));
    Ok(())
}

fn program() -> Result<PathBuf> {
    build(Profile::Release)?.get("gantry").cloned().context("the build made no gantry program")
}

fn number(arguments: &[String], index: usize, default: usize) -> Result<usize> {
    arguments.get(index).map_or(Ok(default), |text| text.parse().with_context(|| format!("{text} is no number")))
}
