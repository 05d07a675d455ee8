//! `cargo xtask diff [SCRIPT]`: the same API requests to Gantry and to Debian's dockerd.

use anyhow::{Context as _, Result};

use crate::cargo::{Profile, build, cargo, run as run_command};

/// Runs every script of `tests/privileged/differential`, or those whose name contains the argument.
pub fn run(arguments: &[String]) -> Result<()> {
    let programs = build(Profile::Tests)?;
    let gantry = programs.get("gantry").context("the build made no gantry program")?;
    let test = ["test", "-p", "privileged-tests", "--test", "differential", "--", "--ignored", "--nocapture"];
    let mut command = cargo();
    command.args(test).env("GANTRY_BIN", gantry);
    if let Some(script) = arguments.first() {
        command.env("GANTRY_DIFF", script);
    }
    run_command(&mut command)
}
