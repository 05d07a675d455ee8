//! The checks on this machine's version 1 hierarchies alone, as if the unified one were not mounted beside them: its
//! freezer, and killing without `cgroup.kill`. They need root.

mod common;

use std::sync::OnceLock;

use conformance_tests::report::Report;
use runtime::cgroup::Layout;

fn report() -> &'static Report {
    static REPORT: OnceLock<Report> = OnceLock::new();
    REPORT.get_or_init(|| match Layout::observe() {
        Ok(Layout::Legacy(_)) => common::run_here(&["--legacy-only"], false),
        _ => common::skip_all("this machine has no version 1 hierarchies"),
    })
}

common::group_tests!(version_1, report);
