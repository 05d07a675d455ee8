//! Gantry's command line: flags in, Engine API calls out, text out, as the `docker` command line does it.
//!
//! `bin` calls [`main`] once. Nothing below reads the environment, and nothing is set up before it is needed.

mod command;
mod config;
mod context;
mod copy;
mod credentials;
mod environment;
mod error;
pub mod flags;
pub mod format;
mod manifests;
mod options;
mod progress;
mod root;
mod stdio;
pub mod template;
mod tls;

use std::io::Write;
use std::process::ExitCode;

pub use command::version_line;
pub use context::DEFAULT_SOCKET;
pub use environment::Environment;
pub use error::Failure;
pub use options::size::parse as parse_size;

/// A subcommand that `bin` implements itself (`daemon`, later `registry`): it gets the arguments after its name.
pub struct Program {
    /// First word on the command line.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// Runs it.
    pub run: fn(&[String]) -> ExitCode,
}

/// What the command line needs of the program around it.
pub struct Hooks {
    /// Subcommands outside of this crate.
    pub programs: &'static [Program],
    /// Starts a daemon in the background on the default socket and returns when it answers. Called only when the
    /// user named no address and nothing listens at [`DEFAULT_SOCKET`].
    pub start_daemon: fn() -> Result<(), Box<dyn std::error::Error>>,
    /// Checks a data root that no daemon uses, deeply or not, repairing or not; gives the report as JSON.
    pub fsck: OfflineCheck,
}

/// Checks the data root of that path, `deep` or not, with `repair` or not; gives the report as JSON.
pub type OfflineCheck = fn(&str, bool, bool) -> Result<String, Box<dyn std::error::Error>>;

/// Runs one command line and gives its exit code. `program` is the path it was called by (argv\[0\]), `args` what
/// follows it.
#[must_use]
pub fn main(program: &str, args: &[String], environment: &Environment, hooks: &Hooks) -> ExitCode {
    let stem = std::path::Path::new(program).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let program = if stem == "docker" { "docker" } else { "gantry" };
    match root::run(program, args, environment, hooks) {
        Ok(code) => code,
        Err(Failure::Exit(code)) => ExitCode::from(code),
        Err(failure) => {
            let _ = writeln!(std::io::stderr().lock(), "{failure}");
            ExitCode::from(failure.code())
        }
    }
}
