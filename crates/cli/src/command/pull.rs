//! `pull`.

use client::Client;
use types::{InvalidReference, Reference};

use super::common::TRUST;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::credentials;
use crate::flags::{Flag, Matches};
use crate::progress::{self, Target};

/// `pull`.
pub static COMMAND: Command = Command {
    paths: &["image pull", "pull"],
    usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
    about: "Download an image from a registry",
    flags: &[&[
        Flag::switch("all-tags", "Download all tagged images in the repository").short('a'),
        TRUST,
        Flag::value("platform", "string", "Set platform if server is multi-platform capable"),
        Flag::switch("quiet", "Suppress verbose output").short('q'),
    ]],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let reference = named(context, m)?;
    let client = context.client()?;
    let target = if m.on("quiet") { Target::Nowhere } else { Target::Out };
    context.wait(pull(context, client, &reference, m.text("platform"), target))?;
    context.line(&reference.to_string());
    Ok(())
}

/// What `pull` and `push` name: with `latest` where nothing else is said, unless all tags are meant.
///
/// # Errors
/// A name that is none, or a tag beside `--all-tags`.
pub fn named(context: &Context, m: &Matches) -> Result<Reference, Failure> {
    let mut reference = parse(m.arg(0))?;
    let named = reference.tag().is_some() || reference.digest().is_some();
    match (m.on("all-tags"), named) {
        (true, true) => return Err(Failure::Invalid("tag can't be used with --all-tags/-a".to_owned())),
        (false, false) => {
            reference = reference.with_default_tag();
            if !m.on("quiet") {
                context.line("Using default tag: latest");
            }
        }
        _ => {}
    }
    Ok(reference)
}

/// Pulls what `run` and `create` miss; progress goes to stderr.
///
/// # Errors
/// The engine's.
pub async fn for_run(context: &Context<'_>, client: &Client, image: &str, m: &Matches) -> Result<(), Failure> {
    let reference = parse(image)?.with_default_tag();
    let target = if m.on("quiet") { Target::Nowhere } else { Target::Err };
    pull(context, client, &reference, m.text("platform"), target).await
}

/// Reads an image name.
///
/// # Errors
/// Docker's text.
pub fn parse(text: &str) -> Result<Reference, Failure> {
    text.parse().map_err(invalid)
}

/// Docker's text for a malformed reference. A name with capitals is shown with the path that it stands for.
#[must_use]
pub fn invalid(error: InvalidReference) -> Failure {
    let error = match error {
        InvalidReference::NotLowerCase(name) if !name.contains('/') => {
            InvalidReference::NotLowerCase(format!("library/{name}"))
        }
        other => other,
    };
    Failure::Invalid(error.to_string())
}

async fn pull(
    context: &Context<'_>,
    client: &Client,
    reference: &Reference,
    platform: &str,
    target: Target,
) -> Result<(), Failure> {
    let tag = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or_default().to_owned(),
    };
    let response = client
        .post("/images/create")
        .query("fromImage", &reference.familiar_name())
        .text("tag", &tag)
        .text("platform", platform)
        .header("x-registry-auth", &credentials::header(context, reference.domain())?)
        .send()
        .await?;
    progress::show(response, target).await
}
