//! `kill`.

use super::common::{container_path, for_all};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};

/// `kill`.
pub static COMMAND: Command = Command {
    paths: &["container kill", "kill"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Kill one or more running containers",
    flags: &[&[Flag::value("signal", "string", "Signal to send to the container").short('s')]],
    interspersed: true,
    args: Args::AtLeast(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let client = context.client()?;
    for_all(context, m.args(), |name| async move {
        client.post(&container_path(&name, "/kill")).text("signal", m.text("signal")).done().await
    })
}
