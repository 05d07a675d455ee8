//! `stop`.

use super::common::{container_path, for_all};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};

/// What `stop` and `restart` share.
pub static FLAGS: &[Flag] = &[
    Flag::value("signal", "string", "Signal to send to the container").short('s'),
    Flag::value("time", "int", "").same_as("timeout"),
    Flag::value("timeout", "int", "Seconds to wait before killing the container").short('t'),
];

/// `stop`.
pub static COMMAND: Command = Command {
    paths: &["container stop", "stop"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Stop one or more running containers",
    flags: &[FLAGS],
    interspersed: true,
    args: Args::AtLeast(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    each(context, m, "/stop")
}

/// Posts to `tail` of every container with the signal and timeout given.
///
/// # Errors
/// The engine's, for all that failed.
pub fn each(context: &Context, m: &Matches, tail: &'static str) -> Result<(), Failure> {
    let client = context.client()?;
    for_all(context, m.args(), |name| async move {
        let request = client.post(&container_path(&name, tail));
        request.text("signal", m.text("signal")).text("t", m.text("timeout")).done().await
    })
}
