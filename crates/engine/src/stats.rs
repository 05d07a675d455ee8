//! What a container uses: readings of its control group, its network interfaces and the machine's processors.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use jiff::Timestamp;
use runtime::cgroup::{Layout, Stats};
use types::ContainerId;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::Error;
use crate::model::NetworkMode;
use crate::system::memory_of_machine;

/// Nanoseconds in a tick of `/proc/stat` (USER_HZ is 100 on every architecture that matters).
const TICK: u64 = 10_000_000;
/// The columns of `/proc/stat` that Docker adds up: user, nice, system, idle, iowait, irq, softirq, steal.
const COLUMNS: usize = 8;

/// One answer to `stats`.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerStats {
    /// Of which container.
    pub id: ContainerId,
    /// Its name, without the slash.
    pub name: String,
    /// The present reading; `None` when it does not run.
    pub current: Option<Arc<Sample>>,
    /// The reading before that, in the same run.
    pub previous: Option<Arc<Sample>>,
}

/// One reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// When.
    pub read: Timestamp,
    /// What the control group says.
    pub group: Stats,
    /// Whether the group is of version 2.
    pub unified: bool,
    /// Bytes the container may use: its limit, or the machine's memory when that is less.
    pub memory_limit: u64,
    /// Nanoseconds of all processors of the machine since boot, idle ones included.
    pub system_cpu: u64,
    /// Processors of the machine that are online.
    pub online_cpus: u32,
    /// Network interfaces by name, without the loopback; empty when the container shares the host's.
    pub networks: BTreeMap<String, InterfaceStats>,
}

/// Counters of a network interface, as seen from inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are their names; see proc_pid_net(5), /proc/net/dev")]
pub struct InterfaceStats {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

/// Reads one container again and again.
pub struct StatsReader {
    engine: Arc<Engine>,
    container: Arc<Container>,
    previous: Option<(i32, Arc<Sample>)>,
}

// === impl Engine ===

impl Engine {
    /// Finds the container whose use is to be read.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`].
    pub fn stats(self: &Arc<Self>, name: &str) -> Result<StatsReader, Error> {
        let container = self.containers.find(name)?;
        Ok(StatsReader { engine: Arc::clone(self), container, previous: None })
    }
}

// === impl StatsReader ===

impl StatsReader {
    /// Ends when the container is about to be removed: its streams end before the removal is answered, as with Docker.
    pub fn gone(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut status = self.container.watch();
        async move {
            // Without a sender there is no container either.
            let _ = status.wait_for(|status| status.leaving || status.removed).await;
        }
    }

    /// The next reading; `None` once the container is gone.
    ///
    /// # Errors
    /// When the engine is shutting down or the machine has no control groups.
    pub async fn next(&mut self) -> Result<Option<ContainerStats>, Error> {
        let status = self.container.status();
        if status.removed {
            return Ok(None);
        }
        let mut stats =
            ContainerStats { id: self.container.spec.id.clone(), name: status.name, current: None, previous: None };
        let previous = self.previous.take();
        if let Some(pid) = status.state.pid() {
            let (engine, container) = (Arc::clone(&self.engine), Arc::clone(&self.container));
            stats.current = self.engine.blocking(move || engine.sample(&container, pid)).await?.map(Arc::new);
            // Counters begin anew with every run.
            stats.previous = previous.filter(|(earlier, _)| *earlier == pid).map(|(_, sample)| sample);
            self.previous = stats.current.clone().map(|sample| (pid, sample));
        }
        Ok(Some(stats))
    }
}

impl Engine {
    /// Reads a run; `None` when it ended meanwhile.
    fn sample(&self, container: &Container, pid: i32) -> Result<Option<Sample>, Error> {
        let group = self.cgroup(&container.spec)?;
        let Ok(stats) = group.stats() else { return Ok(None) };
        let (system_cpu, online_cpus) = processors(&fs::read_to_string("/proc/stat").unwrap_or_default());
        let networks = match container.spec.host.network_mode {
            NetworkMode::Host => BTreeMap::new(),
            _ => interfaces(&fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default()),
        };
        Ok(Some(Sample {
            read: Timestamp::now(),
            unified: matches!(group.layout(), Layout::Unified(_)),
            memory_limit: stats.memory.limit.min(memory_of_machine()),
            group: stats,
            system_cpu,
            online_cpus,
            networks,
        }))
    }
}

/// Time of all processors in nanoseconds, and how many there are, from `/proc/stat`.
fn processors(text: &str) -> (u64, u32) {
    let (mut ticks, mut online) = (0, 0);
    for line in text.lines() {
        let Some((name, columns)) = line.split_once(' ') else { continue };
        match name.strip_prefix("cpu") {
            Some("") => {
                let columns = columns.split_whitespace().take(COLUMNS);
                ticks = columns.filter_map(|column| column.parse::<u64>().ok()).sum();
            }
            Some(_) => online += 1,
            None => {}
        }
    }
    (ticks.saturating_mul(TICK), online)
}

/// Counters by interface, without the loopback, from `/proc/<pid>/net/dev`.
fn interfaces(text: &str) -> BTreeMap<String, InterfaceStats> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let lines = lines.map(|(name, counters)| (name.trim(), counters)).filter(|(name, _)| *name != "lo");
    lines.filter_map(|(name, counters)| Some((name.to_owned(), interface(counters)?))).collect()
}

/// Eight columns of what was received, then eight of what was sent; each begins with bytes, packets, errs, drop.
fn interface(counters: &str) -> Option<InterfaceStats> {
    let columns: Vec<u64> = counters.split_whitespace().map_while(|column| column.parse().ok()).collect();
    let column = |index: usize| columns.get(index).copied();
    Some(InterfaceStats {
        rx_bytes: column(0)?,
        rx_packets: column(1)?,
        rx_errors: column(2)?,
        rx_dropped: column(3)?,
        tx_bytes: column(8)?,
        tx_packets: column(9)?,
        tx_errors: column(10)?,
        tx_dropped: column(11)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_processors_is_added_up_as_docker_does() {
        let text = "cpu  1 2 3 4 5 6 7 8 900 1000\ncpu0 1 1 1 1 1 1 1 1 1 1\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 5 6\n";
        assert_eq!(processors(text), (36 * TICK, 2));
    }

    #[test]
    fn interfaces_are_read_without_the_loopback() {
        let text = "Inter-|   Receive |  Transmit\n face |bytes packets|bytes packets\n    \
                    lo: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n  eth0:736 8 1 2 0 0 0 0 44 5 3 4 0 0 0 0\n";
        let expected = InterfaceStats {
            rx_bytes: 736,
            rx_packets: 8,
            rx_errors: 1,
            rx_dropped: 2,
            tx_bytes: 44,
            tx_packets: 5,
            tx_errors: 3,
            tx_dropped: 4,
        };
        assert_eq!(interfaces(text), BTreeMap::from([("eth0".to_owned(), expected)]));
    }
}
