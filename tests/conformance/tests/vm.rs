//! The checks on pure cgroup v2, in a small virtual machine. They need QEMU and Debian's package tools, no privilege.

#![allow(clippy::print_stdout)]

mod common;

use std::path::PathBuf;
use std::sync::OnceLock;

use conformance_tests::report::Report;
use conformance_tests::vm::{self, Machine};

fn report() -> &'static Report {
    static REPORT: OnceLock<Report> = OnceLock::new();
    REPORT.get_or_init(|| {
        if let Some(reason) = vm::missing() {
            return common::skip_all(&reason);
        }
        let machine = Machine {
            cache: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conformance"),
            guest: PathBuf::from(common::GUEST),
            programs: [common::runtime(), common::busybox()].into_iter().flatten().collect(),
            modules: vm::RUNTIME_MODULES,
            checks: "checks",
            memory: 768,
        };
        match machine.run() {
            Ok(console) => {
                println!("{console}");
                Report::parse(&console)
            }
            Err(error) if format!("{error:#}").contains("getting Debian's kernel") => {
                common::skip_all(&format!("{error:#}"))
            }
            Err(error) => Report { output: format!("{error:#}"), ..Report::default() },
        }
    })
}

common::tests!(version_2, report);
