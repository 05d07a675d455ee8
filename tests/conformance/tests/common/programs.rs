//! The programs that go into a ring.

#![allow(dead_code)]

use std::io::Read as _;
use std::path::{Path, PathBuf};

use conformance_tests::vm::is_program;

/// The program that runs the checks.
pub const GUEST: &str = env!("CARGO_BIN_EXE_guest");

/// The runtime's program, built beside the guest when the workspace is.
pub fn runtime() -> Option<PathBuf> {
    let path = Path::new(GUEST).with_file_name("gantry-runtime");
    is_program(&path).then_some(path)
}

/// Debian's busybox-static.
pub fn busybox() -> Option<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from).into_iter().find(|path| is_program(path))
}

/// `gantry` and its monitor: the program that the tests of this run are about, or the one built beside the guest.
/// Empty when there is none.
pub fn gantry() -> Vec<PathBuf> {
    let named = std::env::var_os("GANTRY_BIN").map(PathBuf::from);
    let gantry = named.unwrap_or_else(|| Path::new(GUEST).with_file_name("gantry"));
    if !is_program(&gantry) {
        return Vec::new();
    }
    // A lone gantry is its own monitor.
    let monitor = gantry.with_file_name("gantry-monitor");
    std::iter::once(gantry).chain(is_program(&monitor).then_some(monitor)).collect()
}

/// The stock client, when it needs no libraries.
pub fn docker() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&paths).map(|directory| directory.join("docker")).find(|path| is_program(path))?;
    // A program that needs libraries names their loader in its first page.
    let mut page = Vec::new();
    std::fs::File::open(&path).ok()?.take(4096).read_to_end(&mut page).ok()?;
    (!page.windows(8).any(|window| window == b"ld-linux")).then_some(path)
}
