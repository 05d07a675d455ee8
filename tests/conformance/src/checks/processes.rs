//! Freezing, killing and measuring.

use std::os::unix::process::ExitStatusExt;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use runtime::spec::Resources;
use types::Signal;

use super::{Place, with_group};
use crate::report::Outcome;
use crate::worker::Worker;

pub(super) fn freezer_stops_and_resumes(place: &Place) -> Result<Outcome> {
    with_group(place, "freezer", &Resources::default(), |group| {
        let mut worker = Worker::start_in(group)?;
        ensure!(!group.is_frozen()?, "born frozen");
        worker.tell("spin 1000")?;
        group.freeze()?;
        ensure!(group.is_frozen()?, "not frozen");
        let before = group.stats()?.cpu.total;
        sleep(Duration::from_millis(150));
        let after = group.stats()?.cpu.total;
        ensure!(before == after, "ran {} µs while frozen", (after - before) / 1000);
        group.thaw()?;
        ensure!(!group.is_frozen()?, "still frozen");
        ensure!(worker.answer()? == "done", "did not go on");
        Ok(Outcome::Passed)
    })
}

pub(super) fn kill_ends_everyone(place: &Place) -> Result<Outcome> {
    with_group(place, "kill", &Resources::default(), |group| {
        let mut worker = Worker::start_in(group)?;
        ensure!(worker.ask("fork 8")? == "8 0", "no children");
        ensure!(group.pids()?.len() == 9, "listed {:?}", group.pids());
        group.kill(Signal::KILL)?;
        ensure!(worker.wait()?.signal() == Some(9), "not killed");
        for _ in 0..200 {
            if group.pids()?.is_empty() {
                return Ok(Outcome::Passed);
            }
            sleep(Duration::from_millis(5));
        }
        anyhow::bail!("survivors {:?}", group.pids())
    })
}

pub(super) fn kill_ends_the_frozen(place: &Place) -> Result<Outcome> {
    with_group(place, "kill-frozen", &Resources::default(), |group| {
        let mut worker = Worker::start_in(group)?;
        worker.ask("ping")?;
        group.freeze()?;
        group.kill(Signal::KILL)?;
        // Version 1's freezer holds even the killed.
        if !group.layout().is_unified() {
            group.thaw()?;
        }
        ensure!(worker.wait()?.signal() == Some(9), "not killed");
        Ok(Outcome::Passed)
    })
}

pub(super) fn stats_are_filled(place: &Place) -> Result<Outcome> {
    with_group(place, "stats", &Resources::default(), |group| {
        let mut worker = Worker::start_in(group)?;
        worker.ask("allocate 8")?;
        worker.ask("spin 50")?;
        let stats = group.stats()?;
        ensure!(stats.cpu.total > 20_000_000, "{:?}", stats.cpu);
        ensure!(stats.cpu.user > 0, "{:?}", stats.cpu);
        ensure!(stats.memory.usage > 8 << 20, "usage {}", stats.memory.usage);
        ensure!(stats.memory.limit > 1 << 40, "limit {}", stats.memory.limit);
        ensure!(stats.memory.stats.contains_key("pgfault"), "{:?}", stats.memory.stats);
        ensure!((stats.pids.current, stats.pids.limit) == (1, u64::MAX), "{:?}", stats.pids);
        worker.wait()?;
        group.remove()?;
        ensure!(group.stats().is_err(), "a removed group has statistics");
        Ok(Outcome::Passed)
    })
}
