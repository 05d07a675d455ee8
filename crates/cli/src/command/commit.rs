//! `commit`.

use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::value::Value;

/// `commit`.
pub static COMMAND: Command = Command {
    paths: &["container commit", "commit"],
    usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    about: "Create a new image from a container's changes",
    flags: &[&[
        Flag::value("author", "string", "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")").short('a'),
        Flag::value("change", "list", "Apply Dockerfile instruction to the created image").short('c'),
        Flag::value("message", "string", "Commit message").short('m'),
        Flag::switch("pause", "Pause container during commit").short('p').default("true"),
    ]],
    interspersed: true,
    args: Args::Between(1, 2),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let name = m.arg(1);
    let (mut repository, mut tag) = (String::new(), String::new());
    if !name.is_empty() {
        let reference: types::Reference =
            name.parse().map_err(|error: types::InvalidReference| Failure::Invalid(error.to_string()))?;
        if reference.digest().is_some() {
            return Err(Failure::Invalid("refusing to create a tag with a digest reference".to_owned()));
        }
        repository = reference.familiar_name();
        tag = reference.tag().unwrap_or("latest").to_owned();
    }
    let mut request = context
        .client()?
        .post("/commit")
        .query("container", m.arg(0))
        .text("repo", &repository)
        .text("tag", &tag)
        .text("comment", m.text("message"))
        .text("author", m.text("author"));
    if !m.on("pause") {
        request = request.query("pause", "0");
    }
    for change in m.list("change") {
        request = request.query("changes", change);
    }
    let answer: Value = context.wait(async { Ok(request.fetch().await?) })?;
    context.line(answer.at("Id").as_str());
    Ok(())
}
