//! `import`.

use super::load::{feed, open};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::progress::{self, Target};

/// `import`.
pub static COMMAND: Command = Command {
    paths: &["image import", "import"],
    usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    about: "Import the contents from a tarball to create a filesystem image",
    flags: &[&[
        Flag::value("change", "list", "Apply Dockerfile instruction to the created image").short('c'),
        Flag::value("message", "string", "Set commit message for imported image").short('m'),
        Flag::value("platform", "string", "Set platform if server is multi-platform capable"),
    ]],
    interspersed: true,
    args: Args::AtLeast(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let source = m.arg(0);
    // The engine itself fetches a URL.
    let remote = source.starts_with("http://") || source.starts_with("https://");
    let mut request = context
        .client()?
        .post("/images/create")
        .query("fromSrc", if remote { source } else { "-" })
        .text("repo", m.arg(1))
        .text("message", m.text("message"))
        .text("platform", m.text("platform"));
    for change in m.list("change") {
        request = request.query("changes", change);
    }
    if !remote {
        request = request.upload(feed(open(if source == "-" { "" } else { source })?));
    }
    context.wait(async { progress::show(request.send().await?, Target::Out).await })
}
