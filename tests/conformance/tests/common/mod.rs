//! One test a check, in every ring.

#![allow(clippy::print_stdout, clippy::expect_used)]

#[path = "programs.rs"]
mod programs;

use std::process::Command;

use conformance_tests::checks::CHECKS;
use conformance_tests::report::{Outcome, Report};

#[allow(unused_imports)]
pub use programs::{GUEST, busybox, runtime};

/// Runs the checks on this machine's cgroups.
#[allow(dead_code)]
pub fn run_here(options: &[&str], with_runtime: bool) -> Report {
    if !rustix::process::geteuid().is_root() {
        return skip_all("cgroups need root");
    }
    let mut command = Command::new(GUEST);
    command.arg("checks").args(options);
    for (option, program) in [("--runtime", runtime().filter(|_| with_runtime)), ("--busybox", busybox())] {
        if let Some(program) = program {
            command.arg(option).arg(program);
        }
    }
    let output = command.output().expect("starting the guest program");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    Report::parse(&text)
}

/// A report that skips every check for the same reason.
pub fn skip_all(reason: &str) -> Report {
    let outcomes = CHECKS.iter().map(|(name, _)| ((*name).to_owned(), Outcome::Skipped(reason.to_owned())));
    Report { outcomes: outcomes.collect(), output: reason.to_owned() }
}

/// Defines the tests of the groups alone.
macro_rules! group_tests {
    ($ring:ident, $report:ident $(, $more:ident)*) => {
        crate::common::define!($ring, $report:
            join_list_and_remove, entry_enters_every_hierarchy, nested_groups_are_removed, a_failed_create_leaves_nothing,
            creating_is_quick, memory_limit_kills_and_counts, memory_and_swap_limits_are_written, cpu_quota_throttles,
            cpu_shares_become_weight, cpuset_places_processes, pids_limit_refuses_forks, block_throttle_is_written,
            hugetlb_limit_is_written, unified_map_is_written, device_rules_hold_and_change, update_changes_limits,
            freezer_stops_and_resumes, kill_ends_everyone, kill_ends_the_frozen, stats_are_filled,
            default_filter_blocks
            $(, $more)*);
    };
}

/// Defines them all; `every_check_has_a_test` keeps the list complete.
#[allow(unused_macros)]
macro_rules! tests {
    ($ring:ident, $report:ident) => {
        crate::common::group_tests!(
            $ring,
            $report,
            library_applies_limits,
            library_applies_device_rules,
            library_sees_memory_kills,
            library_executes_in_the_group,
            runtime_runs_a_bundle,
            runtime_applies_limits,
            runtime_applies_device_rules,
            runtime_pauses_and_kills,
            every_check_has_a_test
        );
    };
}

/// One test a name. The module makes the names unique among the rings.
macro_rules! define {
    ($ring:ident, $report:ident: $($name:ident),*) => {
        mod $ring {
            const TESTS: &[&str] = &[$(stringify!($name)),*];

            $(#[test]
            fn $name() {
                crate::common::verdict(super::$report, stringify!($name), TESTS);
            })*
        }
    };
}

/// What a test of this name says.
pub fn verdict(report: fn() -> &'static Report, name: &str, tests: &[&str]) {
    if name == "every_check_has_a_test" {
        let checks: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
        assert_eq!(checks, tests[..tests.len() - 1]);
    } else {
        report().require(name);
    }
}

#[allow(unused_imports)]
pub(crate) use tests;
pub(crate) use {define, group_tests};
