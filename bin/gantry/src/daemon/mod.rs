//! `gantry daemon`: settings in, a running daemon out.
//!
//! [`table`] names every setting; [`file`] and [`merged`] read it from `daemon.json` and flags, with [`json`] and
//! [`values`] for texts; [`options`] is the plain struct they become, touching nothing; [`build`], [`sockets`],
//! [`descriptors`] and [`run`] build the engine and serve; [`signals`], [`notify`] and [`logging`] speak to the outside; [`background`]
//! starts and stops a daemon from there.

mod background;
mod bridge_options;
mod build;
mod descriptors;
mod file;
mod fsck;
mod gc;
mod host_mirrors;
mod json;
mod lock;
mod logging;
mod merged;
mod network_options;
mod notify;
mod options;
mod remap;
mod run;
mod setting;
mod signals;
mod sockets;
mod table;
mod values;

use std::io::Write as _;
use std::process::ExitCode;

use cli::Environment;
use cli::flags::{Parsed, flag_block, parse};

pub(crate) use background::start_in_background;
pub(crate) use fsck::fsck;

use options::Source;

/// The name the daemon was called by: it decides where things are by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// `gantry daemon`.
    Gantry,
    /// `dockerd`: Docker's places.
    Dockerd,
}

// === impl Called ===

impl Called {
    fn config_file(self) -> &'static str {
        match self {
            Self::Gantry => "/etc/gantry/daemon.json",
            Self::Dockerd => "/etc/docker/daemon.json",
        }
    }

    fn data_root(self) -> &'static str {
        match self {
            Self::Gantry => "/var/lib/gantry",
            Self::Dockerd => "/var/lib/docker",
        }
    }

    fn exec_root(self) -> &'static str {
        match self {
            Self::Gantry => "/run/gantry",
            Self::Dockerd => "/var/run/docker",
        }
    }

    /// `None`: beside the rest of the execution state.
    fn pidfile(self) -> Option<String> {
        (self == Self::Dockerd).then(|| "/var/run/docker.pid".to_owned())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gantry => "gantry daemon",
            Self::Dockerd => "dockerd",
        }
    }
}

/// Runs `gantry daemon ARGS`.
pub(crate) fn command(arguments: &[String]) -> ExitCode {
    main(Called::Gantry, arguments)
}

/// Runs `dockerd ARGS`.
pub(crate) fn dockerd(arguments: &[String]) -> ExitCode {
    main(Called::Dockerd, arguments)
}

fn main(called: Called, arguments: &[String]) -> ExitCode {
    match dispatch(called, arguments) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("{error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(called: Called, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let environment = Environment::new(std::env::vars_os());
    // Before anything is opened: their numbers are known, not their owner.
    let inherited = sockets::inherited(&environment);
    let matches = match parse(table::flags(), true, arguments) {
        Ok(Parsed::Matches(matches)) => matches,
        Ok(Parsed::Help(_)) => {
            print(&help(called));
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => {
            complain(&format!("{error}\nSee '{} --help'.\n", called.name()));
            return Ok(ExitCode::from(125));
        }
    };
    if matches.on("version") {
        print(&cli::version_line(if called == Called::Dockerd { "docker" } else { "gantry" }));
        return Ok(ExitCode::SUCCESS);
    }
    let source = Source::new(&matches, &environment, called);
    match matches.args() {
        [] => {}
        [stop] if stop == "stop" => {
            background::stop(&source.read()?, matches.on("containers"))?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {
            let name = called.name();
            complain(&format!("{name:?} accepts no arguments\nSee '{name} --help'.\n\n{}\n", usage(called)));
            return Ok(ExitCode::FAILURE);
        }
    }
    let options = source.read()?;
    if matches.on("validate") {
        build::bridge(&options)?;
        build::check_log(&options)?;
        complain("configuration OK\n");
        return Ok(ExitCode::SUCCESS);
    }
    run::run(run::Start { options, inherited, environment, detached: matches.on("detached") })?;
    Ok(ExitCode::SUCCESS)
}

fn usage(called: Called) -> String {
    let stop = if called == Called::Gantry { "\n        gantry daemon stop [--containers]" } else { "" };
    format!("Usage:  {} [OPTIONS]{stop}\n\nA self-sufficient runtime for containers.", called.name())
}

fn help(called: Called) -> String {
    format!("{}\n\nOptions:\n{}", usage(called), flag_block(table::flags(), None))
}

fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// The last words of a daemon that does not start; there may be no log yet.
fn complain(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
