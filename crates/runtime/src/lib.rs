//! The OCI runtime: from a configuration to a running container, and processes executed in it.
//!
//! Synchronous, and for single-threaded callers: the first process of a container is cloned from the caller.
//!
//! A configuration becomes a plan, which is pure; the runtime makes the control group and clones the process
//! (`created`, `launch`); the process performs the plan on itself (`init`) and reports over a channel.

pub mod cgroup;
mod channel;
mod command;
mod created;
mod error;
mod exec;
pub mod features;
mod hooks;
mod idmap;
mod init;
mod launch;
mod launcher;
mod namespaces;
mod plan;
mod request;
mod root;
pub mod seccomp;
pub mod spec;

pub use created::{Created, create, run, start_detached};
pub use error::{Error, Step};
pub use exec::exec;
pub use hooks::{State, run_hooks};
pub use request::{CreateOptions, CreateRequest, ExecRequest, Execed, Rootfs, Stdio};
