//! `wait`.

use super::common::container_path;
use super::run::Waited;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::Matches;

/// `wait`.
pub static COMMAND: Command = Command {
    paths: &["container wait", "wait"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Block until one or more containers stop, then print their exit codes",
    flags: &[],
    interspersed: true,
    args: Args::AtLeast(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let client = context.client()?;
    let mut failed = Vec::new();
    for name in m.args() {
        let waited: Result<Waited, client::Error> =
            context.wait(async { Ok(client.post(&container_path(name, "/wait")).fetch().await) })?;
        match waited {
            Ok(waited) => match waited.error.filter(|error| !error.message.is_empty()) {
                Some(error) => failed.push(error.message),
                None => context.line(&waited.status.to_string()),
            },
            Err(error) => failed.push(error.to_string()),
        }
    }
    Failure::all(failed)
}
