//! `pause` and `unpause`.

use super::common::{container_path, for_all};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::Matches;

/// `pause`.
pub static PAUSE: Command = Command {
    paths: &["container pause", "pause"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Pause all processes within one or more containers",
    flags: &[],
    interspersed: true,
    args: Args::AtLeast(1),
    run: |context, m| each(context, m, "/pause"),
};

/// `unpause`.
pub static UNPAUSE: Command = Command {
    paths: &["container unpause", "unpause"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Unpause all processes within one or more containers",
    flags: &[],
    interspersed: true,
    args: Args::AtLeast(1),
    run: |context, m| each(context, m, "/unpause"),
};

fn each(context: &Context, m: &Matches, tail: &'static str) -> Result<(), Failure> {
    let client = context.client()?;
    for_all(context, m.args(), |name| async move { client.post(&container_path(&name, tail)).done().await })
}
