//! Containers made for real, from a busybox root file system. Needs root.
//!
//! A runner of its own: the runtime clones from its caller, which must have one thread. Arguments choose tests by a
//! part of their name.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod bench;
mod exec;
mod filesystem;
mod host;
mod identity;
mod namespaces;
mod security;

use std::panic::{AssertUnwindSafe, catch_unwind};

type Test = (&'static str, fn());

fn main() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: every test of this file: they need root");
        return;
    }
    if !std::path::Path::new("/bin/busybox").exists() {
        println!("SKIPPED: every test of this file: they need /bin/busybox (package busybox-static)");
        return;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let all =
        [bench::TESTS, exec::TESTS, filesystem::TESTS, identity::TESTS, namespaces::TESTS, security::TESTS].concat();
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, test) in all {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        match catch_unwind(AssertUnwindSafe(test)) {
            Ok(()) => {
                println!("test {name} ... ok");
                passed += 1;
            }
            Err(_) => {
                println!("test {name} ... FAILED");
                failed.push(name);
            }
        }
    }
    println!("\ntest result: {passed} passed; {} failed", failed.len());
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
        std::process::exit(1);
    }
}
