//! `gantry daemon`: settings in, a running daemon out.
//!
//! [`options`] parses flags and `daemon.json` into one plain struct touching nothing; [`run`] builds the engine and
//! serves; [`background`] starts and stops a daemon from outside.

mod background;
mod file;
mod flags;
mod lock;
mod options;
mod run;

use std::process::ExitCode;

pub(crate) use background::start_in_background;

/// Runs `gantry daemon ARGS`.
pub(crate) fn command(arguments: &[String]) -> ExitCode {
    match dispatch(arguments) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let matches = match flags::command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            error.print()?;
            return Ok(if error.use_stderr() { ExitCode::from(125) } else { ExitCode::SUCCESS });
        }
    };
    if let Some(("stop", stop)) = matches.subcommand() {
        let roots = options::Options::from_flags(&matches)?;
        background::stop(&roots, stop.get_flag("containers"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = options::Options::from_flags(&matches)?;
    run::run(options, matches.get_flag("detached"))?;
    Ok(ExitCode::SUCCESS)
}

/// The last words of a daemon that does not start; there is no log yet.
#[expect(clippy::print_stderr, reason = "the program's own error output")]
fn complain(message: &str) {
    eprintln!("{message}");
}
