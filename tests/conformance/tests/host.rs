//! The checks on this machine's own cgroups, whatever their version. They need root.

mod common;

use std::sync::OnceLock;

use conformance_tests::report::Report;

fn report() -> &'static Report {
    static REPORT: OnceLock<Report> = OnceLock::new();
    REPORT.get_or_init(|| common::run_here(&[], true))
}

common::tests!(host, report);
