//! `volume backup` and `volume restore`.

use super::common::{check_output_path, write_output};
use super::load::{feed, open};
use super::volume::{filled, gantry_path};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};

/// `volume backup`.
pub static BACKUP: Command = Command {
    paths: &["volume backup"],
    usage: "[OPTIONS] VOLUME",
    about: "Write a volume to an archive (tar, compressed with zstd; streamed to STDOUT by default)",
    flags: &[&[
        Flag::value("output", "string", "Write to a file, instead of STDOUT").short('o'),
        Flag::switch(
            "pause",
            "Copy the files while the containers that use the volume are paused, then write the copy",
        ),
    ]],
    interspersed: true,
    args: Args::Exactly(1),
    run: backup,
};

/// `volume restore`.
pub static RESTORE: Command = Command {
    paths: &["volume restore"],
    usage: "[OPTIONS] VOLUME",
    about: "Fill a new or an empty volume from an archive or from another volume",
    flags: &[&[
        Flag::switch("force", "Replace what is in the volume").short('f'),
        Flag::value(
            "from",
            "string",
            "Take the files of this volume, which may be a snapshot, instead of an archive's",
        ),
        Flag::value("input", "string", "Read from a tar archive (plain, gzip, zstd, bzip2 or xz), instead of STDIN")
            .short('i'),
    ]],
    interspersed: true,
    args: Args::Exactly(1),
    run: restore,
};

fn backup(context: &Context, m: &Matches) -> Result<(), Failure> {
    let path = m.text("output");
    if path.is_empty() && context.output_is_terminal() {
        return Err(Failure::Invalid(
            "refusing to write an archive to a terminal: use the -o flag or redirect the output".to_owned(),
        ));
    }
    if !path.is_empty() {
        check_output_path(path).map_err(|error| Failure::Invalid(format!("failed to back up volume: {error}")))?;
    }
    let request = context.client()?.get(&gantry_path(m.arg(0), "backup")).flag("pause", m.on("pause"));
    context.wait(async { write_output(request.send().await?, path, "failed to back up volume").await })
}

fn restore(context: &Context, m: &Matches) -> Result<(), Failure> {
    let (from, path) = (m.text("from"), m.text("input"));
    let client = context.client()?;
    let request = client.post(&gantry_path(m.arg(0), "restore")).flag("force", m.on("force")).text("from", from);
    let request = match (from.is_empty(), path.is_empty()) {
        (false, false) => {
            return Err(Failure::Invalid("conflicting options: cannot specify both --from and --input".to_owned()));
        }
        (false, true) => request,
        (true, true) if context.input_is_terminal() => {
            return Err(Failure::Invalid(
                "refusing to read an archive from a terminal: use the -i flag or redirect the input".to_owned(),
            ));
        }
        (true, _) => {
            let source = open(path)?;
            // Within the runtime, which the body needs.
            return context.wait(async { filled(context, request.upload(feed(source)).fetch().await?) });
        }
    };
    context.wait(async { filled(context, request.fetch().await?) })
}
