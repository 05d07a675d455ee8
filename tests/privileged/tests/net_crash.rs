//! Networks under a daemon that is killed, and many networks at once. The full sizes are `cargo xtask soak network-crash`
//! and `cargo xtask soak networks`.
#![allow(missing_docs)]

use privileged_tests::net_load::{NetLoad, config};
use privileged_tests::{Daemon, Options, net_crash};

#[test]
fn crash_in_changes_of_networks_leaves_kernel_and_records_agreeing() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        // Its containers end with it.
        return;
    }
    net_crash::run(&daemon, 12, u64::from(std::process::id()));
}

#[test]
fn many_networks_at_once_leave_nothing_behind() {
    let daemon = Daemon::start(Options { config: Some(config()), ..Options::default() });
    if daemon.is_reference() {
        // It keeps no namespaces and rules where ours are counted.
        return;
    }
    NetLoad { networks: 12, containers: 3, clients: 6 }.put(&daemon);
}
