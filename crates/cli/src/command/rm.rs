//! `rm`.

use serde_json::json;

use super::common::container_path;
use super::dry_run::{self, DRY_RUN};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};

/// `rm`.
pub static COMMAND: Command = Command {
    paths: &["container rm", "container remove", "rm"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Remove one or more containers",
    flags: &[&[
        Flag::switch("force", "Force the removal of a running container (uses SIGKILL)").short('f'),
        Flag::switch("link", "Remove the specified link").short('l'),
        Flag::switch("volumes", "Remove anonymous volumes associated with the container").short('v'),
        DRY_RUN,
    ]],
    interspersed: true,
    args: Args::AtLeast(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    if m.on("dry-run") {
        if m.on("link") {
            return Err(Failure::Invalid("conflicting options: --link and --dry-run".to_owned()));
        }
        let names: Vec<&str> = m.args().iter().map(|name| name.trim_matches('/')).collect();
        let body = json!({ "Kind": "container", "Names": names, "Force": m.on("force"), "Volumes": m.on("volumes") });
        return dry_run::removal(context, &body, m.on("force"));
    }
    let client = context.client()?;
    let names = m.args();
    let remove = |name: &str| {
        client
            .delete(&container_path(name.trim_matches('/'), ""))
            .flag("v", m.on("volumes"))
            .flag("link", m.on("link"))
            .flag("force", m.on("force"))
            .done()
    };
    let results =
        context.wait(async { Ok(futures_util::future::join_all(names.iter().map(|name| remove(name))).await) })?;
    let mut failed = Vec::new();
    for (name, result) in names.iter().zip(results) {
        match result {
            _ if name.trim_matches('/').is_empty() => failed.push("container name cannot be empty".to_owned()),
            Ok(()) => context.line(name),
            // With --force, what is already gone is no failure.
            Err(error) if m.on("force") && error.is_not_found() => context.complain(&error.to_string()),
            Err(error) => failed.push(error.to_string()),
        }
    }
    Failure::all(failed)
}
