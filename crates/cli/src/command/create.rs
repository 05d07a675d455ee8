//! `create`, and what `run` shares with it.

use std::fs;
use std::io::Write;
use std::path::Path;

use client::Client;
use serde::Deserialize;
use types::{InvalidReference, Reference};

use super::container_body::{self, Body};
use super::container_flags::CONTAINER;
use super::{Args, Command, pull};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};

/// `create`.
pub static COMMAND: Command = Command {
    paths: &["container create", "create"],
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create a new container",
    flags: &[
        CONTAINER,
        &[Flag::value("pull", "string", "Pull image before creating (\"always\", \"|missing\", \"never\")")
            .default("\"missing\"")],
    ],
    interspersed: false,
    args: Args::AtLeast(1),
    run,
};

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Warnings", default)]
    warnings: Option<Vec<String>>,
}

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let body = read(context, m, "create")?;
    let client = context.client()?;
    let id = context.wait(create(context, client, m, &body))?;
    context.line(&id);
    Ok(())
}

/// Reads the flags; a text that does not make sense is worded with the command's name.
///
/// # Errors
/// [`Failure::Run`] with exit code 125.
pub fn read(context: &Context, m: &Matches, command: &'static str) -> Result<Body, Failure> {
    let failure = |text: String| Failure::Run { program: context.program, command, text, code: 125 };
    let policy = m.maybe("pull").unwrap_or("missing");
    if !matches!(policy, "always" | "missing" | "never" | "") {
        return Err(failure(format!(
            "invalid pull option: '{policy}': must be one of \"always\", \"missing\" or \"never\""
        )));
    }
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    container_body::build(m, context.environment, &cwd, context.terminal_size()).map_err(failure)
}

/// Creates the container, pulling the image when it is missing, and gives its id.
///
/// # Errors
/// The engine's, or that the id cannot be written to `--cidfile`.
pub async fn create(context: &Context<'_>, client: &Client, m: &Matches, body: &Body) -> Result<String, Failure> {
    let cidfile = m.text("cidfile");
    if !cidfile.is_empty() && Path::new(cidfile).exists() {
        return Err(Failure::Invalid(format!(
            "container ID file found, make sure the other container isn't running or delete {cidfile}"
        )));
    }
    let reference = image_reference(&body.image)?;
    let policy = m.maybe("pull").unwrap_or("missing");
    if policy == "always" {
        pull::for_run(context, client, &body.image, m).await?;
    }
    let created = match post(client, m, body).await {
        Err(error) if error.is_not_found() && policy == "missing" && names_image(&error) && reference.is_some() => {
            if let Some(reference) = reference.filter(|_| !m.on("quiet")) {
                context.complain(&format!("Unable to find image '{}' locally", reference.familiar()));
            }
            pull::for_run(context, client, &body.image, m).await?;
            post(client, m, body).await?
        }
        other => other?,
    };
    for warning in created.warnings.unwrap_or_default() {
        context.complain(&format!("WARNING: {warning}"));
    }
    for address in m.list("dns") {
        if address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback()) {
            context.complain(&format!("WARNING: Localhost DNS ({address}) may fail in containers."));
        }
    }
    if !cidfile.is_empty() {
        let written = fs::File::create_new(cidfile).and_then(|mut file| file.write_all(created.id.as_bytes()));
        written.map_err(|source| Failure::Io { what: "failed to create the container ID file".to_owned(), source })?;
    }
    Ok(created.id)
}

/// The image's reference with its default tag; `None` when the text is an image id.
///
/// # Errors
/// When the text is neither.
pub fn image_reference(image: &str) -> Result<Option<Reference>, Failure> {
    match image.parse::<Reference>() {
        Ok(reference) => Ok(Some(reference.with_default_tag())),
        Err(InvalidReference::Id(_)) => Ok(None),
        Err(_) if image.parse::<types::Digest>().is_ok() => Ok(None),
        Err(error) => Err(pull::invalid(error)),
    }
}

async fn post(client: &Client, m: &Matches, body: &Body) -> Result<Created, client::Error> {
    client
        .post("/containers/create")
        .text("name", m.text("name"))
        .text("platform", m.text("platform"))
        .json(&body.json)?
        .fetch()
        .await
}

/// A missing network or volume plugin is a 404 too; only an image that is missing, or there for another platform, is
/// worth a pull.
fn names_image(error: &client::Error) -> bool {
    let text = error.to_string();
    text.to_ascii_lowercase().contains("no such image") || text.contains("does not match the specified platform")
}
