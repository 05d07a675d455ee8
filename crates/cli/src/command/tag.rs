//! `tag`.

use super::{Args, Command, pull};
use crate::Failure;
use crate::context::Context;
use crate::flags::Matches;

/// `tag`.
pub static COMMAND: Command = Command {
    paths: &["image tag", "tag"],
    usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    about: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    flags: &[],
    interspersed: false,
    args: Args::Exactly(2),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let invalid = |name: &str, error: Failure| {
        Failure::Invalid(format!("Error parsing reference: {name:?} is not a valid repository/tag: {error}"))
    };
    let target = pull::parse(m.arg(1)).map_err(|error| invalid(m.arg(1), error))?;
    if target.digest().is_some() {
        return Err(Failure::Invalid("refusing to create a tag with a digest reference".to_owned()));
    }
    let target = target.with_default_tag();
    let request = context
        .client()?
        .post(&format!("/images/{}/tag", client::escape(m.arg(0))))
        .query("repo", &target.familiar_name())
        .text("tag", target.tag().unwrap_or_default());
    context.wait(async { Ok(request.done().await?) })
}
