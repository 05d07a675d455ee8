//! `volume clone`, `volume snapshot` and `volume rename`.

use super::volume::{filled, gantry_path};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::Matches;

/// `volume clone`.
pub static CLONE: Command = Command {
    paths: &["volume clone"],
    usage: "VOLUME NEW_VOLUME",
    about: "Make a volume with the files and labels of another one",
    flags: &[],
    interspersed: true,
    args: Args::Exactly(2),
    run: |context, m| copy(context, m, "clone"),
};

/// `volume snapshot`.
pub static SNAPSHOT: Command = Command {
    paths: &["volume snapshot"],
    usage: "VOLUME [SNAPSHOT]",
    about: "Copy a volume as it is at this moment, while the containers that use it are paused",
    flags: &[],
    interspersed: true,
    args: Args::Between(1, 2),
    run: |context, m| copy(context, m, "snapshot"),
};

/// `volume rename`.
pub static RENAME: Command = Command {
    paths: &["volume rename"],
    usage: "VOLUME NEW_NAME",
    about: "Rename a volume that no container refers to",
    flags: &[],
    interspersed: true,
    args: Args::Exactly(2),
    run: rename,
};

fn copy(context: &Context, m: &Matches, verb: &str) -> Result<(), Failure> {
    let new = m.args().get(1).map(String::as_str).unwrap_or_default();
    let request = context.client()?.post(&gantry_path(m.arg(0), verb)).text("name", new);
    context.wait(async { filled(context, request.fetch().await?) })
}

fn rename(context: &Context, m: &Matches) -> Result<(), Failure> {
    let request = context.client()?.post(&gantry_path(m.arg(0), "rename")).text("name", m.arg(1));
    context.wait(async { Ok(request.done().await?) })
}
