//! `diff`.

use super::common::container_path;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::Matches;
use crate::format::value::Value;

/// `diff`.
pub static COMMAND: Command = Command {
    paths: &["container diff", "diff"],
    usage: "CONTAINER",
    about: "Inspect changes to files or directories on a container's filesystem",
    flags: &[],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let request = context.client()?.get(&container_path(m.arg(0), "/changes"));
    let changes: Value = context.wait(async { Ok(request.fetch().await?) })?;
    let mut text = String::new();
    for change in changes.items() {
        let kind = match change.at("Kind").as_i64() {
            0 => "C",
            1 => "A",
            _ => "D",
        };
        text.push_str(&format!("{kind} {}\n", change.at("Path").as_str()));
    }
    context.print(&text);
    Ok(())
}
