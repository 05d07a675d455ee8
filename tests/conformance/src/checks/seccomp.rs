//! The default filter on the running kernel.

use anyhow::{Result, ensure};

use super::Place;
use crate::report::Outcome;
use crate::worker::Worker;

pub(super) fn default_filter_blocks(_place: &Place) -> Result<Outcome> {
    let mut worker = Worker::start()?;
    // The path does not exist: without a filter the errno is another.
    ensure!(worker.ask("probe chroot")? == "2", "chroot before the filter");
    ensure!(worker.ask("seccomp")? == "done", "the filter was not loaded");
    for (call, expected) in [
        ("mount", "1"),
        ("hostname", "1"),
        ("chroot", "1"),
        ("vsock", "1"),
        ("alg", "1"),
        ("unix", "ok"),
        ("getpid", "ok"),
    ] {
        let found = worker.ask(&format!("probe {call}"))?;
        ensure!(found == expected, "{call}: {found} instead of {expected}");
    }
    Ok(Outcome::Passed)
}
