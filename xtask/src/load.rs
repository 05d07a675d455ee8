//! `cargo xtask soak load`: many containers and many clients, on an optimised build.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use privileged_tests::load::{Load, Report};
use privileged_tests::{Daemon, Engine, Options};

use crate::cargo::{Profile, build};

/// Growth of the daemon's memory that an allocator's caches explain.
const SLACK_KB: u64 = 3 * 1024;

/// Puts 500 containers and 200 clients for 60 s (or the given numbers) on a daemon; fails when a bound is broken.
pub fn run(arguments: &[String]) -> Result<()> {
    let number = |index: usize, default: usize| -> Result<usize> {
        arguments.get(index).map_or(Ok(default), |text| text.parse().with_context(|| format!("{text} is no number")))
    };
    let load = Load {
        containers: number(0, 500)?,
        clients: number(1, 200)?,
        duration: Duration::from_secs(u64::try_from(number(2, 60)?)?),
    };
    let programs = build(Profile::Release)?;
    let binary = Some(programs.get("gantry").context("the build made no gantry program")?.clone());
    let daemon = Daemon::start(Options { engine: Some(Engine::Gantry), binary, ..Options::default() });
    println!("{load:?}");
    let report = load.put(&daemon);
    print(&report);
    ensure!(report.errors.is_empty(), "clients got errors: {:?}", report.errors);
    ensure!(report.list < Duration::from_millis(20), "the list took {:?}", report.list);
    ensure!(report.start < Duration::from_secs(1), "the daemon's start took {:?}", report.start);
    ensure!(report.after.descriptors <= report.before.descriptors, "descriptors were left open");
    ensure!(report.after.memory <= report.before.memory + SLACK_KB, "the daemon's memory grew");
    Ok(())
}

fn print(report: &Report) {
    println!("list of all               {:?} (bound 20 ms)", report.list);
    println!("start with all of them    {:?} (bound 1 s)", report.start);
    println!("requests answered         {}", report.requests);
    println!("errors                    {:?}", report.errors);
    let change = |before: u64, after: u64| format!("{before} -> {after}");
    let (before, after) = (report.before, report.after);
    println!("descriptors               {}", change(before.descriptors as u64, after.descriptors as u64));
    println!("memory (Pss, kB)          {}", change(before.memory, after.memory));
    println!("threads                   {}", change(before.threads as u64, after.threads as u64));
}
