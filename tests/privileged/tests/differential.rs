//! The same API script on Gantry and on Debian's dockerd: `cargo xtask diff`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::Command;

use privileged_tests::differential::{Accepted, Report, Script, run};
use privileged_tests::{Daemon, Engine, Options, skip};

/// Every script, or those whose name contains `GANTRY_DIFF`.
fn scripts() -> Vec<Script> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("differential");
    let filter = std::env::var("GANTRY_DIFF").unwrap_or_default();
    let mut paths: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "script"));
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    paths.retain(|path| name(path).contains(&filter));
    paths.iter().map(|path| Script::parse(&name(path), &fs::read_to_string(path).unwrap()).unwrap()).collect()
}

#[test]
#[ignore = "compares with Debian's dockerd, outside of the timed set: cargo xtask diff"]
fn the_api_answers_as_docker_does() {
    if Command::new("dockerd").arg("--version").output().is_err() {
        skip("no dockerd on this machine to compare with");
        return;
    }
    let start = |engine| Daemon::start(Options { engine: Some(engine), ..Options::default() });
    let accepted = Path::new(env!("CARGO_MANIFEST_DIR")).join("differential/accepted.txt");
    let accepted = Accepted::parse(&fs::read_to_string(accepted).unwrap()).unwrap();
    let (mut report, mut broken) = (Report::default(), Vec::new());
    for script in scripts() {
        // Each script has engines of its own, so that scripts do not see what others left.
        let (reference, gantry) = (start(Engine::Dockerd), start(Engine::Gantry));
        if let Err(error) = run(&script, (&reference, &gantry), &accepted, &mut report) {
            broken.push(format!("{error:#}"));
        }
    }
    let Report { requests, accepted: count, excused, differences } = report;
    if std::env::var_os("GANTRY_DIFF_EXCUSED").is_some() {
        for (one, reason) in &excused {
            println!("{} | {} | {} | {} | # {reason}", one.step, one.field, one.reference, one.gantry);
        }
    }
    for one in &differences {
        println!(
            "{} ({})\n    {}\n        docker: {}\n        gantry: {}",
            one.step, one.place, one.field, one.reference, one.gantry
        );
    }
    // One script alone does not need them all.
    let all = std::env::var("GANTRY_DIFF").unwrap_or_default().is_empty();
    let stale = if all || std::env::var_os("GANTRY_DIFF_EXCUSED").is_some() { accepted.stale() } else { Vec::new() };
    println!("{requests} requests, {} differences, {count} accepted ones", differences.len());
    for error in &broken {
        println!("a script broke off: {error}");
    }
    for rule in &stale {
        println!("nothing to accept any more: {rule}");
    }
    assert!(differences.is_empty() && (stale.is_empty() || !all) && broken.is_empty(), "the engines differ: see above");
}
