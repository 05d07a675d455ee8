//! `logout`.

use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::credentials::{self, HUB, host_of};
use crate::flags::Matches;

/// `logout`.
pub static COMMAND: Command = Command {
    paths: &["logout"],
    usage: "[SERVER]",
    about: "Log out from a registry.\nIf no server is specified, the default is defined by the daemon.",
    flags: &[],
    interspersed: true,
    args: Args::AtMost(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let server = match m.arg(0) {
        "" => HUB,
        given => host_of(given),
    };
    context.line(&format!("Removing login credentials for {server}"));
    credentials::forget(context, server)
        .map_err(|error| Failure::Invalid(format!("WARNING: could not erase credentials:\n{server}: {error}")))
}
