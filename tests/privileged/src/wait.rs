//! Waiting with a bound, and visible skips.

use std::io::Write as _;
use std::time::{Duration, Instant};

/// Polls `condition` every 20 ms until it gives a value; panics with `what` after `seconds`.
pub fn until<T>(what: &str, seconds: u64, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "{what}: not within {seconds} s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Reports that the running test cannot be done on this machine, and why.
///
/// The line goes to the real stderr (libtest captures only the print macros), and, when
/// `GANTRY_SKIPS` names a file, into that file, so that a skipped test never counts as a passed row.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unknown");
    let mut stderr = std::io::stderr();
    // The report is best effort: a closed stderr must not fail the test.
    let _ = writeln!(stderr, "SKIP {name}: {reason}");
    if let Some(path) = std::env::var_os("GANTRY_SKIPS")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = writeln!(file, "{name}\t{reason}");
    }
}
