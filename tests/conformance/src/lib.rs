//! The runtime's checks on a real kernel: limits, device rules, freezer, out-of-memory detection, system call filter.
//!
//! The same list runs in two places: on this machine's cgroups (`tests/host.rs`) and on pure cgroup v2 in a small
//! virtual machine (`tests/vm.rs`). Both start the program `guest`, which is a static binary: as a child on the host,
//! as process 1 in the virtual machine. It reports on its standard output, one line a check:
//!
//! ```text
//! CHECK ok NAME MILLISECONDS
//! CHECK skip NAME REASON
//! CHECK failed NAME ERROR
//! ```

pub mod checks;
pub mod engine;
pub mod init;
pub mod report;
pub mod vm;
pub mod worker;
