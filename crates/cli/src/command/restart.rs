//! `restart`.

use super::stop::{FLAGS, each};
use super::{Args, Command};

/// `restart`.
pub static COMMAND: Command = Command {
    paths: &["container restart", "restart"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Restart one or more containers",
    flags: &[FLAGS],
    interspersed: true,
    args: Args::AtLeast(1),
    run: |context, m| each(context, m, "/restart"),
};
