//! `push`.

use client::escape;

use super::common::platform_json;
use super::pull::named;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::credentials;
use crate::flags::{Flag, Matches};
use crate::progress::{self, Target};

/// `push`.
pub static COMMAND: Command = Command {
    paths: &["image push", "push"],
    usage: "[OPTIONS] NAME[:TAG]",
    about: "Upload an image to a registry",
    flags: &[&[
        Flag::switch("all-tags", "Push all tags of an image to the repository").short('a'),
        // Not one of Docker's.
        Flag::value("compression", "string", "Compression of layers that were built here (\"gzip\"|\"zstd\")")
            .default("\"gzip\"")
            .check(|text| match text {
                "gzip" | "zstd" => Ok(()),
                other => Err(format!("invalid compression {other:?}: want gzip or zstd")),
            }),
        Flag::switch("disable-content-trust", "Skip image signing").default("true").check(|text| match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(()),
            _ => Err("image signing is not supported".to_owned()),
        }),
        Flag::value(
            "platform",
            "string",
            "Push a platform-specific manifest as a single-platform image to the registry. 'os[/arch[/variant]]': \
             Explicit platform (eg. linux/amd64)",
        ),
        Flag::switch("quiet", "Suppress verbose output").short('q'),
    ]],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let reference = named(context, m)?;
    let platform = platform_json(m.text("platform"))?;
    let header = credentials::header(context, reference.domain())?;
    let client = context.client()?;
    let target = if m.on("quiet") { Target::Nowhere } else { Target::Out };
    context.wait(async {
        let response = client
            .post(&format!("/images/{}/push", escape(&reference.familiar_name())))
            .text("tag", reference.tag().unwrap_or_default())
            .text("platform", &platform)
            .text("compression", if m.text("compression") == "zstd" { "zstd" } else { "" })
            .header("x-registry-auth", &header)
            .send()
            .await?;
        progress::show(response, target).await
    })?;
    if m.on("quiet") {
        context.line(&reference.to_string());
    }
    Ok(())
}
