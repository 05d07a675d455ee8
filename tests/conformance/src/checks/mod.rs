//! The checks, by name.

mod bundle;
mod library;
mod limits;
mod processes;
mod runtime_command;
mod seccomp;
mod setup;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use runtime::cgroup::{Cgroup, Layout};
use runtime::spec::Resources;

use crate::report::{self, Outcome};

/// Where the checks run and what they may use.
#[derive(Clone, Debug)]
pub struct Place {
    /// What is mounted here.
    pub layout: Layout,
    /// Group that all of this run's groups are below.
    pub parent: String,
    /// The `gantry-runtime` program, when there is one to check.
    pub runtime: Option<PathBuf>,
    /// A static busybox.
    pub busybox: Option<PathBuf>,
    /// A directory for bundles and state.
    pub scratch: PathBuf,
}

/// A check: passes, explains why it cannot run here, or fails.
pub type Check = fn(&Place) -> Result<Outcome>;

/// Every check.
pub const CHECKS: &[(&str, Check)] = &[
    ("join_list_and_remove", setup::join_list_and_remove),
    ("entry_enters_every_hierarchy", setup::entry_enters_every_hierarchy),
    ("nested_groups_are_removed", setup::nested_groups_are_removed),
    ("a_failed_create_leaves_nothing", setup::a_failed_create_leaves_nothing),
    ("creating_is_quick", setup::creating_is_quick),
    ("memory_limit_kills_and_counts", limits::memory_limit_kills_and_counts),
    ("memory_and_swap_limits_are_written", limits::memory_and_swap_limits_are_written),
    ("cpu_quota_throttles", limits::cpu_quota_throttles),
    ("cpu_shares_become_weight", limits::cpu_shares_become_weight),
    ("cpuset_places_processes", limits::cpuset_places_processes),
    ("pids_limit_refuses_forks", limits::pids_limit_refuses_forks),
    ("block_throttle_is_written", limits::block_throttle_is_written),
    ("hugetlb_limit_is_written", limits::hugetlb_limit_is_written),
    ("unified_map_is_written", limits::unified_map_is_written),
    ("device_rules_hold_and_change", limits::device_rules_hold_and_change),
    ("update_changes_limits", limits::update_changes_limits),
    ("freezer_stops_and_resumes", processes::freezer_stops_and_resumes),
    ("kill_ends_everyone", processes::kill_ends_everyone),
    ("kill_ends_the_frozen", processes::kill_ends_the_frozen),
    ("stats_are_filled", processes::stats_are_filled),
    ("default_filter_blocks", seccomp::default_filter_blocks),
    ("library_applies_limits", library::applies_limits),
    ("library_applies_device_rules", library::applies_device_rules),
    ("library_sees_memory_kills", library::memory_kill_is_seen),
    ("library_executes_in_the_group", library::executes_in_the_group),
    ("runtime_runs_a_bundle", runtime_command::runs_a_bundle),
    ("runtime_applies_limits", runtime_command::applies_limits),
    ("runtime_applies_device_rules", runtime_command::applies_device_rules),
    ("runtime_pauses_and_kills", runtime_command::pauses_and_kills),
];

/// Runs them all, one after the other, and prints a line each. True when none failed.
#[allow(clippy::print_stdout)]
pub fn run(place: &Place) -> bool {
    let mut good = true;
    for (name, check) in CHECKS {
        let start = Instant::now();
        let outcome = check(place).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        good &= !matches!(outcome, Outcome::Failed(_));
        println!("{}", report::line(name, &outcome, start.elapsed().as_millis()));
    }
    if let Err(error) = remove_parent(place) {
        println!("cannot remove {}: {error:#}", place.parent);
        good = false;
    }
    good
}

fn remove_parent(place: &Place) -> Result<()> {
    Cgroup::open(&place.parent)?.remove().context("removing the parent group")
}

/// Creates a group for one check, runs it, and removes the group whatever happened.
fn with_group(
    place: &Place,
    name: &str,
    resources: &Resources,
    check: impl FnOnce(&mut Cgroup) -> Result<Outcome>,
) -> Result<Outcome> {
    let mut group = Cgroup::create_in(place.layout.clone(), format!("{}/{name}", place.parent), resources)
        .context("creating the group")?;
    let result = check(&mut group);
    drop(group.kill(types::Signal::KILL));
    let removed = group.remove().context("removing the group");
    let outcome = result?;
    removed?;
    Ok(outcome)
}

/// A control file of the group: version 1's name or version 2's, by what is mounted.
fn control(group: &Cgroup, legacy: (&str, &str), unified: &str) -> Result<String> {
    let member = group.memberships();
    let (directory, file) = match group.layout() {
        Layout::Unified(_) => (member.first(), unified),
        Layout::Legacy(_) => {
            (member.iter().find(|member| member.name.split(',').any(|name| name == legacy.0)), legacy.1)
        }
    };
    let path = directory.with_context(|| format!("not in {}", legacy.0))?.directory.join(file);
    Ok(std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?.trim().to_owned())
}
