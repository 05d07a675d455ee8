//! `rename`.

use super::common::container_path;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::Matches;

/// `rename`.
pub static COMMAND: Command = Command {
    paths: &["container rename", "rename"],
    usage: "CONTAINER NEW_NAME",
    about: "Rename a container",
    flags: &[],
    interspersed: true,
    args: Args::Exactly(2),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let (old, new) = (m.arg(0).trim(), m.arg(1).trim());
    if old.is_empty() || new.is_empty() {
        return Err(Failure::Invalid("Error: Neither old nor new names may be empty".to_owned()));
    }
    let request = context.client()?.post(&container_path(old, "/rename")).query("name", new);
    context.wait(async {
        request.done().await.map_err(|error| {
            context.complain(&error.to_string());
            Failure::Invalid(format!("Error: failed to rename container named {old}"))
        })
    })
}
