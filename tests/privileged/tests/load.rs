//! Many clients at once leave nothing behind. The full size is `cargo xtask soak load`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use privileged_tests::load::Load;
use privileged_tests::{Daemon, Options};

#[test]
fn load_of_many_clients_leaves_no_descriptors_and_no_errors() {
    let daemon = Daemon::start(Options::default());
    let report = Load { containers: 16, clients: 48, duration: Duration::from_secs(3) }.put(&daemon);
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert!(report.requests > 48, "{report:?}");
    assert!(report.after.descriptors <= report.before.descriptors, "{report:?}");
    // What an allocator keeps is bounded; a leak of every request's answer would be far more.
    assert!(report.after.memory < report.before.memory + 16 * 1024, "{report:?}");
}
