//! Containers, images and volumes under a daemon that is killed. The full size is `cargo xtask soak disk-crash`.
#![allow(missing_docs)]

use privileged_tests::{Daemon, Options, disk_crash};

#[test]
fn crash_while_everything_comes_and_goes_leaves_nothing_unaccounted() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        // It leaks layers and has no such account.
        return;
    }
    disk_crash::run(&daemon, 15, u64::from(std::process::id()));
}
