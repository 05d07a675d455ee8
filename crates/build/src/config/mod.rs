//! What instructions make of an image's configuration. Nothing runs and no file is looked at.

mod apply;
mod history;
mod ports;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use crate::dockerfile::Healthcheck;
pub use ports::exposed;
pub(crate) use ports::parts as port_parts;

/// The shell of images that name none.
pub const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The part of an image's configuration that instructions change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `user[:group]`; empty is root.
    pub user: String,
    /// `NAME=value`, each name once.
    pub env: Vec<String>,
    /// `port/protocol`.
    pub exposed_ports: BTreeSet<String>,
    /// Paths of volumes.
    pub volumes: BTreeSet<String>,
    /// Absolute, or empty for `/`.
    pub working_dir: String,
    /// Words before the command.
    pub entrypoint: Option<Vec<String>>,
    /// The command, or the entrypoint's default arguments.
    pub cmd: Option<Vec<String>>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// As it was written.
    pub stop_signal: Option<String>,
    /// Seconds to wait after the signal. No instruction sets it; images on top inherit it.
    pub stop_timeout: Option<i64>,
    /// How to ask whether the container is well.
    pub healthcheck: Option<Healthcheck>,
    /// The shell of text commands; `None` is [`SHELL`].
    pub shell: Option<Vec<String>>,
    /// Instructions for builds on top of the image.
    pub on_build: Vec<String>,
    /// Who made the image.
    pub author: String,
    /// The stage has set its command itself: a later `ENTRYPOINT` leaves it.
    pub cmd_is_own: bool,
}

/// An instruction does not go with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A variable without a name.
    #[error("invalid environment variable: ={0}")]
    Variable(String),
    /// No such signal.
    #[error(transparent)]
    Signal(#[from] types::InvalidSignal),
    /// A port, range, protocol or address of `EXPOSE`, in Docker's words.
    #[error("{0}")]
    Port(String),
    /// `WORKDIR` came to nothing.
    #[error("cannot normalize nothing")]
    Workdir,
    /// `VOLUME` came to nothing.
    #[error("VOLUME specified can not be an empty string")]
    Volume,
}

// === impl Config ===

impl Config {
    /// The words before a command that is text.
    #[must_use]
    pub fn shell(&self) -> Vec<String> {
        self.shell.clone().unwrap_or_else(|| SHELL.map(str::to_owned).into())
    }
}
