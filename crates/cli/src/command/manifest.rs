//! `manifest inspect`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::pull::parse;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::credentials;
use crate::flags::Matches;
use crate::format::json;

/// `manifest inspect`.
pub static INSPECT: Command = Command {
    paths: &["manifest inspect"],
    usage: "MANIFEST",
    about: "Display an image manifest, or manifest list",
    flags: &[],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    /// The document as the registry has it.
    #[serde(default)]
    manifest: Option<Box<RawValue>>,
}

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let reference = parse(m.arg(0))?.with_default_tag();
    let request = context
        .client()?
        .get(&format!("/distribution/{}/json", client::escape(&reference.familiar())))
        .query("manifest", "1")
        .header("x-registry-auth", &credentials::header(context, reference.domain())?);
    let answer: Answer = context.wait(async { Ok(request.fetch().await?) })?;
    let manifest = answer.manifest.ok_or_else(|| {
        Failure::Invalid("this engine does not hand out manifests: it tells only what they describe".to_owned())
    })?;
    context.line(&json::indent(manifest.get(), "\t"));
    Ok(())
}
