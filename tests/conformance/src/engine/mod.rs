//! The engine's checks on pure cgroup v2: the daemon is started inside the virtual machine and driven with Gantry's own
//! client, with raw requests, and with the stock `docker` client where the host has one.

mod daemon;
mod devices;
mod disk;
mod life;
mod limits;
mod mapped;
mod network;
mod quota;
mod stats;
mod system;

pub use daemon::{Daemon, Programs};
pub use quota::IMAGE as QUOTA_IMAGE;

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::report::{self, Outcome};

/// A check: passes, explains why it cannot run here, or fails.
pub type Check = fn(&Daemon) -> Result<Outcome>;

/// Every check.
pub const CHECKS: &[(&str, Check)] = &[
    ("info_is_true", system::info_is_true),
    ("stock_client_works", system::stock_client_works),
    ("runs_and_executes", life::runs_and_executes),
    ("pauses_and_kills", life::pauses_and_kills),
    ("policies_start_again", life::policies_start_again),
    ("health_is_probed", life::health_is_probed),
    ("containers_survive_the_daemon", life::containers_survive_the_daemon),
    ("limits_are_written", limits::limits_are_written),
    ("update_writes_every_limit", limits::update_writes_every_limit),
    ("memory_kill_is_told", limits::memory_kill_is_told),
    ("pids_limit_refuses", limits::pids_limit_refuses),
    ("raised_limits_are_given", limits::raised_limits_are_given),
    ("what_version_2_lacks_is_told", limits::what_version_2_lacks_is_told),
    ("cgroup_namespaces_and_parents", limits::cgroup_namespaces_and_parents),
    ("stats_are_true", stats::stats_are_true),
    ("block_io_is_limited_and_counted", stats::block_io_is_limited_and_counted),
    ("device_rules_hold", devices::device_rules_hold),
    ("cdi_devices_are_given", devices::cdi_devices_are_given),
    ("privileged_may_everything", devices::privileged_may_everything),
    ("bridge_carries", network::bridge_carries),
    ("wires_carry", network::wires_carry),
    ("project_quotas_hold", quota::project_quotas_hold),
    ("mapped_containers_work", mapped::mapped_containers_work),
];

/// Starts a daemon, runs every check, and prints a line each. True when none failed.
#[allow(clippy::print_stdout)]
pub fn run(programs: &Programs) -> Result<bool> {
    disk::make()?;
    // Nothing else sets it up.
    let lo = Command::new(&programs.busybox).args(["ip", "link", "set", "lo", "up"]).status()?;
    ensure!(lo.success(), "the loopback device cannot be set up");
    let daemon = Daemon::start(programs, "main", &[])?;
    let mut good = true;
    for (name, check) in CHECKS {
        let start = Instant::now();
        let outcome = check(&daemon).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        good &= !matches!(outcome, Outcome::Failed(_));
        println!("{}", report::line(name, &outcome, start.elapsed().as_millis()));
        // What a failed check left must not disturb the next.
        daemon.sweep();
    }
    if !good {
        println!("--- the daemon's log\n{}", daemon.log());
    }
    Ok(good)
}
