//! The OCI runtime's command line, as runc has it: containerd, dockerd, podman and conformance suites drive it.
//!
//! A library, so that `gantry` called by the name `gantry-runtime` does the same.

mod arguments;
mod commands;
mod console;
mod record;
mod relay;
mod report;
mod seal;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use arguments::{Flag, Parsed, parse};
use report::Log;

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Global {
    /// Directory of the records.
    pub root: PathBuf,
}

const GLOBAL_FLAGS: &[Flag] = &[
    Flag::value("root", None),
    Flag::value("log", None),
    Flag::value("log-format", None),
    Flag::switch("debug", None),
    Flag::switch("systemd-cgroup", None),
    Flag::value("rootless", None),
    Flag::switch("version", Some('v')),
    Flag::switch("help", Some('h')),
];

const DEFAULT_ROOT: &str = "/run/gantry-runtime";

type Command = fn(&Global, &Parsed) -> anyhow::Result<u8>;

/// The commands: name, flags, function, what it does.
const COMMANDS: &[(&str, &[Flag], Command, &str)] = &[
    ("create", commands::create::FLAGS, commands::create::create, "create a container"),
    ("delete", commands::delete::FLAGS, commands::delete::delete, "delete what a container holds"),
    ("events", commands::events::FLAGS, commands::events::events, "show statistics and out-of-memory events"),
    ("exec", commands::exec::FLAGS, commands::exec::exec, "execute a process in a container"),
    ("features", &[], commands::features::features, "show what this runtime can do"),
    ("kill", commands::kill::FLAGS, commands::kill::kill, "send a signal (default SIGTERM) to a container"),
    ("list", commands::list::FLAGS, commands::list::list, "list the containers"),
    ("pause", &[], commands::pause::pause, "suspend all processes of a container"),
    ("ps", commands::ps::FLAGS, commands::ps::ps, "show the processes of a container"),
    ("resume", &[], commands::pause::resume, "resume all processes of a container"),
    ("run", commands::create::RUN_FLAGS, commands::create::run, "create and start a container"),
    ("spec", commands::spec::FLAGS, commands::spec::spec, "write a new configuration"),
    ("start", &[], commands::create::start, "execute the command of a created container"),
    ("state", &[], commands::list::state, "show the state of a container"),
    ("update", commands::update::FLAGS, commands::update::update, "change the limits of a container"),
];

/// Runs one command line (without the program's name). Commands that start something execute the program again, with
/// the arguments of this process, which must therefore be the command line. The exit status is the command's, the container's for a
/// foreground `run` or `exec`, or 1 after an error, which goes to the log and to standard error.
#[must_use]
pub fn run(arguments: &[String]) -> ExitCode {
    let mut log = Log::default();
    match dispatch(arguments, &mut log) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            log.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String], log: &mut Log) -> anyhow::Result<u8> {
    let global = parse(arguments, GLOBAL_FLAGS)?;
    *log = Log::new(global.last("log"), global.last("log-format"))?;
    if global.is_set("version") {
        report::print(&version())?;
        return Ok(0);
    }
    let Some((name, rest)) = global.positional.split_first().filter(|_| !global.is_set("help")) else {
        report::print(&usage())?;
        return Ok(0);
    };
    if global.is_set("systemd-cgroup") {
        bail!("--systemd-cgroup: this runtime manages control groups itself and not through systemd");
    }
    if let Some(word) = global.last("rootless").filter(|word| !["false", "auto"].contains(word)) {
        bail!("--rootless={word}: this runtime needs root");
    }
    if name == "help" {
        report::print(&usage())?;
        return Ok(0);
    }
    let command = COMMANDS.iter().find(|command| command.0 == name);
    let (_, flags, function, _) = command.with_context(|| format!("no such command: {name:?}"))?;
    if ["create", "exec", "run"].contains(&name.as_str()) {
        seal::ensure()?;
    }
    let root = PathBuf::from(global.last("root").unwrap_or(DEFAULT_ROOT));
    let root = std::path::absolute(&root).with_context(|| format!("--root {}", root.display()))?;
    function(&Global { root }, &parse(rest, flags)?)
}

fn version() -> String {
    format!("gantry-runtime version {}\nspec: {}\n", env!("CARGO_PKG_VERSION"), commands::spec::OCI_VERSION)
}

fn usage() -> String {
    let mut text = String::from(
        "usage: gantry-runtime [--root DIR] [--log FILE] [--log-format text|json] COMMAND [FLAGS] [ARGUMENTS]\n\n",
    );
    for (name, flags, _, about) in COMMANDS {
        text.push_str(&format!("  {name:<9} {about}\n"));
        let names: Vec<String> = flags.iter().map(Flag::shown).collect();
        if !names.is_empty() {
            text.push_str(&format!("            {}\n", names.join(" ")));
        }
    }
    text
}
