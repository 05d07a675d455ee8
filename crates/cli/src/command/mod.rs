//! The commands, one a file, and the table of all of them.

mod attach;
mod build;
mod commit;
mod common;
mod container_body;
mod container_flags;
mod container_host;
mod container_networks;
mod cp;
mod create;
mod dial_stdio;
mod diff;
mod dry_run;
mod events;
mod exec;
mod export;
mod firewall_explain;
pub mod help;
mod history;
mod image_diff;
mod image_ls;
mod image_send;
mod image_tree;
mod import;
mod info;
mod inspect;
mod kill;
mod load;
mod login;
mod logout;
mod logs;
mod manifest;
mod manifest_list;
mod network;
mod network_connect;
mod network_create;
mod network_repair;
mod pause;
mod port;
mod prune;
mod ps;
mod pull;
mod push;
mod rename;
mod report;
mod restart;
mod rm;
mod rmi;
mod run;
mod save;
mod search;
mod start;
mod stats;
mod stop;
mod system_df;
mod system_fsck;
mod system_why;
mod tag;
mod top;
mod update;
mod version;
mod volume;
mod volume_archive;
mod volume_copy;
mod volume_size;
mod wait;

pub use version::line as version_line;

use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};

/// How many arguments a command takes.
#[derive(Clone, Copy)]
pub enum Args {
    /// None.
    None,
    /// This many.
    Exactly(usize),
    /// This many or more.
    AtLeast(usize),
    /// This many or fewer.
    AtMost(usize),
    /// Between the two.
    Between(usize, usize),
}

/// One command.
pub struct Command {
    /// Every way to call it, in the order help shows them.
    pub paths: &'static [&'static str],
    /// What follows the path in the usage line.
    pub usage: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// Flag tables.
    pub flags: &'static [&'static [Flag]],
    /// Whether flags may follow arguments.
    pub interspersed: bool,
    /// Arguments.
    pub args: Args,
    /// Runs it.
    pub run: fn(&Context, &Matches) -> Result<(), Failure>,
}

/// Words that gather commands.
pub static GROUPS: &[(&str, &str)] = &[
    ("builder", "Manage builds"),
    ("container", "Manage containers"),
    ("firewall", "Explain firewall rules"),
    ("image", "Manage images"),
    ("manifest", "Manage Docker image manifests and manifest lists"),
    ("network", "Manage networks"),
    ("system", "Manage Docker"),
    ("volume", "Manage volumes"),
];

/// Every command.
pub static COMMANDS: &[&Command] = &[
    &attach::COMMAND,
    &build::COMMAND,
    &commit::COMMAND,
    &cp::COMMAND,
    &create::COMMAND,
    &dial_stdio::COMMAND,
    &diff::COMMAND,
    &events::COMMAND,
    &exec::COMMAND,
    &export::COMMAND,
    &history::COMMAND,
    &image_diff::COMMAND,
    &image_ls::COMMAND,
    &image_send::COMMAND,
    &import::COMMAND,
    &info::COMMAND,
    &inspect::ANY,
    &inspect::CONTAINER,
    &inspect::IMAGE,
    &inspect::NETWORK,
    &inspect::VOLUME,
    &kill::COMMAND,
    &load::COMMAND,
    &login::COMMAND,
    &logout::COMMAND,
    &logs::COMMAND,
    &manifest_list::ANNOTATE,
    &manifest_list::CREATE,
    &manifest::INSPECT,
    &manifest_list::PUSH,
    &manifest_list::RM,
    &network::LS,
    &network_connect::CONNECT,
    &network_connect::DISCONNECT,
    &network_connect::RM,
    &network_create::COMMAND,
    &firewall_explain::COMMAND,
    &network_repair::COMMAND,
    &pause::PAUSE,
    &pause::UNPAUSE,
    &port::COMMAND,
    &prune::BUILDER,
    &prune::CONTAINER,
    &prune::IMAGE,
    &prune::NETWORK,
    &prune::SYSTEM,
    &prune::VOLUME,
    &ps::COMMAND,
    &pull::COMMAND,
    &push::COMMAND,
    &rename::COMMAND,
    &restart::COMMAND,
    &rm::COMMAND,
    &rmi::COMMAND,
    &run::COMMAND,
    &save::COMMAND,
    &search::COMMAND,
    &start::COMMAND,
    &stats::COMMAND,
    &stop::COMMAND,
    &system_df::COMMAND,
    &system_fsck::COMMAND,
    &tag::COMMAND,
    &top::COMMAND,
    &update::COMMAND,
    &version::COMMAND,
    &volume_archive::BACKUP,
    &volume_copy::CLONE,
    &volume::CREATE,
    &volume::LS,
    &volume_copy::RENAME,
    &volume_archive::RESTORE,
    &volume::RM,
    &volume_size::COMMAND,
    &volume_copy::SNAPSHOT,
    &wait::COMMAND,
];

// === impl Args ===

impl Args {
    /// The complaint about `count` arguments, if it is the wrong number.
    #[must_use]
    pub fn wrong(self, count: usize) -> Option<String> {
        let plural = |number: usize| if number == 1 { "argument" } else { "arguments" };
        match self {
            Self::None if count > 0 => Some("accepts no arguments".to_owned()),
            Self::Exactly(want) if count != want => Some(format!("requires {want} {}", plural(want))),
            Self::AtLeast(want) if count < want => Some(format!("requires at least {want} {}", plural(want))),
            Self::AtMost(want) if count > want => Some(format!("requires at most {want} {}", plural(want))),
            Self::Between(least, most) if !(least..=most).contains(&count) => {
                Some(format!("requires at least {least} and at most {most} {}", plural(most)))
            }
            _ => None,
        }
    }

    /// The verb before the hint at `--help`; Docker's differs.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::AtLeast(_) => "See",
            _ => "Run",
        }
    }
}

// === impl Command ===

impl Command {
    /// The path that help shows when the command was called by `path`: aliases within a group show the first name.
    #[must_use]
    pub fn shown(&self, path: &'static str) -> &'static str {
        let group = |path: &str| path.split_once(' ').map(|(group, _)| group.to_owned());
        self.paths.iter().copied().find(|other| group(other) == group(path)).unwrap_or(path)
    }
}
