//! `save`.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::stdio::output::{self, Stream};

/// `save`.
pub static COMMAND: Command = Command {
    paths: &["image save", "save"],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Save one or more images to a tar archive (streamed to STDOUT by default)",
    flags: &[&[Flag::value("output", "string", "Write to a file, instead of STDOUT").short('o')]],
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
    let mut request = context.client()?.get("/images/get");
    for name in m.args() {
        request = request.query("names", name);
    }
    let failed = |source| Failure::Io { what: "failed to save image".to_owned(), source };
    context.wait(async {
        let mut response = request.send().await?;
        if path.is_empty() {
            while let Some(bytes) = response.chunk().await? {
                output::write(Stream::Out, &bytes).map_err(failed)?;
            }
            return Ok(());
        }
        // The name appears only when the archive is whole.
        let partial = Path::new(path).with_extension(format!("partial-{}", std::process::id()));
        let copied = async {
            let mut file = File::create(&partial).map_err(failed)?;
            while let Some(bytes) = response.chunk().await? {
                file.write_all(&bytes).map_err(failed)?;
            }
            fs::rename(&partial, path).map_err(failed)
        }
        .await;
        if copied.is_err() {
            let _ = fs::remove_file(&partial);
        }
        copied
    })
}
