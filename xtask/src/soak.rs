//! `cargo xtask soak [N]`: the crash tests, over and over.

use anyhow::{Context as _, Result};

use crate::cargo::{Profile, build, cargo, run as run_command};

/// Runs the tests that kill the daemon N times (10 by default); stops at the first failure.
pub fn run(arguments: &[String]) -> Result<()> {
    match arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("disk-crash", rest)) => return crate::soak_crash::disk(rest),
        Some(("network-crash", rest)) => return crate::soak_crash::crash(rest),
        Some(("networks", rest)) => return crate::soak_crash::networks(rest),
        Some(("network-cycles", rest)) => return crate::networks::run(rest),
        Some(("load", rest)) => return crate::load::run(rest),
        _ => {}
    }
    let rounds: u32 = arguments.first().map_or(Ok(10), |text| text.parse()).context("N is a number")?;
    let programs = build(Profile::Tests)?;
    let gantry = programs.get("gantry").context("the build made no gantry program")?;
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        run_command(
            cargo()
                .args(["test", "-p", "privileged-tests", "--test", "crash", "--test", "crash_images"])
                .env("GANTRY_BIN", gantry),
        )?;
    }
    Ok(())
}
