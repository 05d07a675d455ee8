//! `guest checks …` runs the runtime's checks, `guest engine …` the engine's, `guest worker` is a process under test, and as process 1 it is the init of the
//! virtual machine.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use conformance_tests::checks::{self, Place};
use conformance_tests::engine::{self, Programs};
use conformance_tests::{init, worker};
use runtime::cgroup::Layout;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if std::process::id() == 1 {
        init::main();
        return Ok(ExitCode::SUCCESS);
    }
    match arguments.first().map(String::as_str) {
        Some("worker") => worker::main().map(|()| ExitCode::SUCCESS),
        Some("checks") => {
            let place = place(&arguments[1..])?;
            let good = checks::run(&place);
            drop(std::fs::remove_dir_all(&place.scratch));
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Some("engine") => {
            let programs = programs(&arguments[1..])?;
            Ok(if engine::run(&programs)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => bail!(
            "usage: guest checks [--legacy-only] [--runtime PROGRAM] [--busybox PROGRAM] | \
             guest engine --gantry PROGRAM --busybox PROGRAM | guest worker"
        ),
    }
}

fn programs(arguments: &[String]) -> Result<Programs> {
    let mut programs = Programs::default();
    for pair in arguments.chunks(2) {
        match pair {
            [option, value] if option == "--gantry" => programs.gantry = PathBuf::from(value),
            [option, value] if option == "--busybox" => programs.busybox = PathBuf::from(value),
            other => bail!("unknown option {other:?}"),
        }
    }
    Ok(programs)
}

fn place(arguments: &[String]) -> Result<Place> {
    let mut place = Place {
        layout: Layout::observe()?,
        parent: format!("/gantry-conformance-{}", std::process::id()),
        runtime: None,
        busybox: None,
        scratch: std::env::temp_dir().join(format!("gantry-conformance-{}", std::process::id())),
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "--legacy-only" {
            if let Layout::Legacy(legacy) = &mut place.layout {
                legacy.unified = None;
            }
            continue;
        }
        let value = || words.clone().next().map(PathBuf::from).with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--runtime" => place.runtime = Some(value()?),
            "--busybox" => place.busybox = Some(value()?),
            other => bail!("unknown option {other:?}"),
        }
        words.next();
    }
    std::fs::create_dir_all(&place.scratch).context("making the scratch directory")?;
    Ok(place)
}
