//! `cargo xtask check`: everything that is demanded of the source without running it.

mod layers;
mod sizes;
mod unsafety;

use std::process::Stdio;

use anyhow::{Result, bail};

use crate::cargo::{self, cargo, command};

/// Runs every check, even after one has failed, and fails when any did.
fn run_all() -> Vec<(&'static str, Result<()>)> {
    vec![
        ("format", cargo::run(cargo().args(["fmt", "--all", "--check"]))),
        ("layer law", layers::check()),
        ("sizes", sizes::check()),
        ("unsafe only in sys", unsafety::check()),
        (
            "lints",
            cargo::run(cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])),
        ),
        ("licences and advisories", deny()),
    ]
}

/// `run_all` with a report.
pub fn run() -> Result<()> {
    let mut failed = Vec::new();
    for (name, result) in run_all() {
        match result {
            Ok(()) => println!("ok      {name}"),
            Err(error) => {
                println!("FAILED  {name}: {error:#}");
                failed.push(name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn deny() -> Result<()> {
    let probe = command("cargo-deny").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        println!("SKIP licences and advisories: cargo-deny is not installed");
        return Ok(());
    }
    // Advisories need their database from the network; licences, bans and sources do not.
    cargo::run(cargo().args(["deny", "--all-features", "check", "licenses", "bans", "sources"]))
}
