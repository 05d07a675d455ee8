//! `save`.

use super::common::{check_output_path, platform_json, write_output};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};

/// `save`.
pub static COMMAND: Command = Command {
    paths: &["image save", "save"],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Save one or more images to a tar archive (streamed to STDOUT by default)",
    flags: &[&[
        Flag::value("output", "string", "Write to a file, instead of STDOUT").short('o'),
        Flag::value("platform", "string", "Save only the given platform variant. Formatted as \"os[/arch[/variant]]\""),
        Flag::value("since", "list", "Leave out the layers of this image, which whoever loads the archive must have"),
    ]],
    interspersed: true,
    args: Args::AtLeast(1),
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
        check_output_path(path).map_err(|error| Failure::Invalid(format!("failed to save image: {error}")))?;
    }
    let platform = platform_json(m.text("platform"))?;
    let mut request = context.client()?.get("/images/get").text("platform", &platform);
    for name in m.args() {
        request = request.query("names", name);
    }
    for image in m.list("since") {
        request = request.query("since", image);
    }
    context.wait(async { write_output(request.send().await?, path, "failed to save image").await })
}
