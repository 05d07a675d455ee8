//! The process that stays with each container: its parent, its streams, its log, its exit record.
//!
//! [`client`] is for the daemon, [`protocol`] is what both speak, [`main`] is the process itself and
//! [`init`] the small first process of containers made with `--init`.

mod attached;
pub mod client;
mod connections;
mod container;
mod error;
mod execs;
mod failure;
pub mod init;
mod memory;
mod monitor;
mod output;
mod packet;
mod poller;
pub mod protocol;
mod recording;
mod requests;
mod run;
mod stdin;
mod streams;
#[cfg(test)]
mod streams_tests;
mod supervise;

pub use error::Error;
pub use run::main;
