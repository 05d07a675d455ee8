//! The engine on pure cgroup v2, in a small virtual machine: its own client, raw requests, and the stock client where
//! this machine has it. Needs QEMU and Debian's package tools, no privilege.

#![allow(clippy::print_stdout)]

#[path = "common/programs.rs"]
mod programs;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use conformance_tests::engine::{CHECKS, QUOTA_IMAGE};
use conformance_tests::report::{Outcome, Report};
use conformance_tests::vm::{self, Machine};

fn report() -> &'static Report {
    static REPORT: OnceLock<Report> = OnceLock::new();
    REPORT.get_or_init(|| {
        let (gantry, busybox) = (programs::gantry(), programs::busybox());
        let reason = vm::missing().or_else(|| {
            let missing = |program: &str| Some(format!("{program} is not there"));
            if gantry.is_empty() { missing("gantry") } else { busybox.is_none().then(|| missing("busybox"))? }
        });
        if let Some(reason) = reason {
            return skip_all(&reason);
        }
        let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conformance");
        let quotas = quota_image(&cache);
        let machine = Machine {
            cache,
            guest: PathBuf::from(programs::GUEST),
            programs: gantry.into_iter().chain(busybox).chain(programs::docker()).chain(quotas).collect(),
            modules: vm::ENGINE_MODULES,
            checks: "engine",
            memory: 1536,
        };
        match machine.run() {
            Ok(console) => {
                println!("{console}");
                Report::parse(&console)
            }
            Err(error) if format!("{error:#}").contains("getting Debian's kernel") => skip_all(&format!("{error:#}")),
            Err(error) => Report { output: format!("{error:#}"), ..Report::default() },
        }
    })
}

/// A file system with quotas of projects, which busybox cannot make; its check is skipped where the host cannot either.
fn quota_image(cache: &Path) -> Option<PathBuf> {
    let path = cache.join(QUOTA_IMAGE);
    std::fs::create_dir_all(cache).ok()?;
    std::fs::File::create(&path).and_then(|file| file.set_len(48 << 20)).ok()?;
    let made = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-b", "4096", "-I", "256", "-O", "project,quota"])
        .args(["-E", "quotatype=usrquota:grpquota:prjquota,lazy_itable_init=0"])
        .arg(&path)
        .status();
    made.is_ok_and(|status| status.success()).then_some(path)
}

fn skip_all(reason: &str) -> Report {
    let outcomes = CHECKS.iter().map(|(name, _)| ((*name).to_owned(), Outcome::Skipped(reason.to_owned())));
    Report { outcomes: outcomes.collect(), output: reason.to_owned() }
}

/// One test a check.
macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        mod engine_version_2 {
            $(#[test]
            fn $name() {
                super::report().require(stringify!($name));
            })*
        }

        #[test]
        fn every_check_has_a_test() {
            let checks: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
            assert_eq!(checks, [$(stringify!($name)),*]);
        }
    };
}

checks!(
    info_is_true,
    stock_client_works,
    runs_and_executes,
    pauses_and_kills,
    policies_start_again,
    health_is_probed,
    containers_survive_the_daemon,
    limits_are_written,
    update_writes_every_limit,
    memory_kill_is_told,
    pids_limit_refuses,
    raised_limits_are_given,
    what_version_2_lacks_is_told,
    cgroup_namespaces_and_parents,
    stats_are_true,
    block_io_is_limited_and_counted,
    device_rules_hold,
    cdi_devices_are_given,
    privileged_may_everything,
    bridge_carries,
    wires_carry,
    project_quotas_hold,
    mapped_containers_work,
);
