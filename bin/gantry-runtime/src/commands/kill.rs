//! `kill`.

use std::os::fd::AsFd as _;

use anyhow::Context as _;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use types::Signal;

use crate::Global;
use crate::arguments::{Flag, Parsed};
use crate::record::{Record, Status};

/// Its flags.
pub(crate) const FLAGS: &[Flag] = &[Flag::switch("all", Some('a'))];

/// Sends a signal to the container's first process, or to all of them.
pub(crate) fn kill(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let record = Record::load(global, parsed.id()?)?;
    let word = parsed.positional.get(1).map_or("SIGTERM", String::as_str);
    let signal: Signal = word.parse()?;
    if parsed.is_set("all") {
        record.cgroup()?.kill(signal)?;
        return Ok(0);
    }
    record.must_be_alive()?;
    // A signal that ends it must reach the others too where they share a pid namespace with strangers.
    if signal == Signal::KILL && shares_pids(&record) {
        record.cgroup()?.kill(signal)?;
        return Ok(0);
    }
    let pid = Pid::from_raw(record.pid).context("no process")?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("container not running")?;
    record.must_be_alive()?;
    sys::pidfd_signal::send(pidfd.as_fd(), signal.number()).context("send signal")?;
    if signal == Signal::KILL && record.status(global) == Status::Paused {
        record.cgroup()?.thaw()?;
    }
    Ok(0)
}

/// Whether the container has no pid namespace of its own.
fn shares_pids(record: &Record) -> bool {
    let namespaces = record.spec.linux.as_ref().map(|linux| linux.namespaces.as_slice()).unwrap_or_default();
    let own = |namespace: &runtime::spec::Namespace| {
        namespace.kind == runtime::spec::NamespaceKind::Pid && namespace.path.is_none()
    };
    !namespaces.iter().any(own)
}
