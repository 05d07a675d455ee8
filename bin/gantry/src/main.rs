//! One program, several names: `gantry` is the client and the daemon; called through a link it is also `docker`,
//! `dockerd`, `gantry-monitor`, `docker-init` and `gantry-runtime`, so that one file is a whole installation.

mod daemon;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use cli::{Environment, Hooks, Program};

const PROGRAMS: &[Program] =
    &[Program { name: "daemon", about: "Run, or stop, the Gantry daemon", run: daemon::command }];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    if monitor::init::is_called(&program) {
        return monitor::init::main(arguments);
    }
    match stem(&program) {
        monitor::client::PROGRAM => monitor::main(),
        "dockerd" => daemon::dockerd(&text(arguments)),
        _ => {
            let environment = Environment::new(std::env::vars_os());
            let hooks = Hooks { programs: PROGRAMS, start_daemon: daemon::start_in_background, fsck: daemon::fsck };
            cli::main(&program.to_string_lossy(), &text(arguments), &environment, &hooks)
        }
    }
}

/// The name a program was called by, without its directory.
fn stem(program: &OsStr) -> &str {
    Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or_default()
}

/// Arguments as text. What is no UTF-8 is replaced: no option of ours takes such bytes, and the message names them.
fn text(arguments: std::env::ArgsOs) -> Vec<String> {
    arguments.map(|argument| argument.to_string_lossy().into_owned()).collect()
}
