//! `rmi`.

use serde_json::json;

use super::dry_run::{self, DRY_RUN};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::value::Value;

/// `rmi`.
pub static COMMAND: Command = Command {
    paths: &["image rm", "image remove", "rmi"],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Remove one or more images",
    flags: &[&[
        Flag::switch("force", "Force removal of the image").short('f'),
        Flag::switch("no-prune", "Do not delete untagged parents"),
        DRY_RUN,
    ]],
    interspersed: true,
    args: Args::AtLeast(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    if m.on("dry-run") {
        let (force, keep_parents) = (m.on("force"), m.on("no-prune"));
        let body = json!({ "Kind": "image", "Names": m.args(), "Force": force, "KeepParents": keep_parents });
        return dry_run::removal(context, &body, force);
    }
    let client = context.client()?;
    let (mut failed, mut fatal) = (Vec::new(), false);
    for name in m.args() {
        let request = client
            .delete(&format!("/images/{}", client::escape(name)))
            .flag("force", m.on("force"))
            .flag("noprune", m.on("no-prune"));
        let result: Result<Value, client::Error> = context.wait(async { Ok(request.fetch().await) })?;
        match result {
            Ok(removed) => {
                for item in removed.items() {
                    match item.at("Deleted").as_str() {
                        "" => context.line(&format!("Untagged: {}", item.at("Untagged").as_str())),
                        id => context.line(&format!("Deleted: {id}")),
                    }
                }
            }
            Err(error) => {
                fatal |= !error.is_not_found();
                failed.push(error.to_string());
            }
        }
    }
    // With --force, what is already gone is no failure.
    if m.on("force") && !fatal && !failed.is_empty() {
        context.complain(&failed.join("\n"));
        return Ok(());
    }
    Failure::all(failed)
}
