//! `load`.

use std::fs::File;
use std::io::{self, Read, Write as _};

use client::{Response, Upload};

use super::common::platform_json;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::options::keyvalue::go_error;
use crate::progress::{self, Target};

/// `load`.
pub static COMMAND: Command = Command {
    paths: &["image load", "load"],
    usage: "[OPTIONS]",
    about: "Load an image from a tar archive or STDIN",
    flags: &[&[
        Flag::value("input", "string", "Read from tar archive file, instead of STDIN").short('i'),
        Flag::value("platform", "string", "Load only the given platform variant. Formatted as \"os[/arch[/variant]]\""),
        Flag::switch("quiet", "Suppress the load output").short('q'),
    ]],
    interspersed: true,
    args: Args::None,
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let path = m.text("input");
    if path.is_empty() && context.input_is_terminal() {
        return Err(Failure::Invalid("requested load from stdin, but stdin is empty".to_owned()));
    }
    let source = open(path)?;
    let quiet = m.on("quiet") || !context.output_is_terminal();
    let client = context.client()?;
    let platform = platform_json(m.text("platform"))?;
    context.wait(async {
        let request = client.post("/images/load").query("quiet", if quiet { "1" } else { "0" });
        let request = request.text("platform", &platform);
        let response = request.upload(feed(source)).send().await?;
        copy_out(context, response).await
    })
}

/// The file at `path`, or our stdin when it is empty.
///
/// # Errors
/// When the file cannot be opened, in Go's words.
pub fn open(path: &str) -> Result<Box<dyn Read + Send>, Failure> {
    if path.is_empty() {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).map_err(|e| Failure::Invalid(format!("open {path}: {}", go_error(&e))))?;
    Ok(Box::new(file))
}

/// A body that a thread fills from `source`.
#[must_use]
pub fn feed(mut source: Box<dyn Read + Send>) -> Upload {
    let (mut writer, upload) = Upload::new();
    // Input that breaks off, and an engine that answers before it has read everything, end the body.
    std::thread::spawn(move || {
        let copied = io::copy(&mut source, &mut writer);
        writer.flush().and(copied)
    });
    upload
}

/// Shows progress messages; an answer that is no JSON is shown as it is.
async fn copy_out(context: &Context<'_>, mut response: Response) -> Result<(), Failure> {
    if response.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return progress::show(response, Target::Out).await;
    }
    while let Some(bytes) = response.chunk().await? {
        context.print(&String::from_utf8_lossy(&bytes));
    }
    Ok(())
}
