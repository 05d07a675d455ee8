//! `export`.

use super::common::{check_output_path, container_path, write_output};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};

/// `export`.
pub static COMMAND: Command = Command {
    paths: &["container export", "export"],
    usage: "[OPTIONS] CONTAINER",
    about: "Export a container's filesystem as a tar archive",
    flags: &[&[Flag::value("output", "string", "Write to a file, instead of STDOUT").short('o')]],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let path = m.text("output");
    if path.is_empty() && context.output_is_terminal() {
        return Err(Failure::Invalid(
            "cowardly refusing to save to a terminal. Use the -o flag or redirect".to_owned(),
        ));
    }
    if !path.is_empty() {
        check_output_path(path).map_err(|error| Failure::Invalid(format!("failed to export container: {error}")))?;
    }
    let request = context.client()?.get(&container_path(m.arg(0), "/export"));
    context.wait(async { write_output(request.send().await?, path, "failed to export container").await })
}
