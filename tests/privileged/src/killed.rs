//! Clients at work while the daemon is killed with SIGKILL.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::daemon::Daemon;
use crate::http::Connection;
use crate::random::Random;

/// Clients that change things at the same time.
const CLIENTS: u64 = 3;

/// Has clients repeat `step` until the daemon is killed, at most `longest` milliseconds later, and starts it again. An
/// error of a step says that the daemon is lost, and ends its client.
pub(crate) fn round(
    daemon: &Daemon,
    random: &mut Random,
    longest: u64,
    step: impl Fn(&mut Connection, &mut Random) -> io::Result<()> + Sync,
) {
    let stop = AtomicBool::new(false);
    let delay = Duration::from_millis(5 + random.below(longest));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (stop, step, mut random) = (&stop, &step, Random::new(random.next()));
            let socket = daemon.socket();
            scope.spawn(move || {
                let mut api = Connection::new(&socket);
                while !stop.load(Ordering::Relaxed) && step(&mut api, &mut random).is_ok() {}
            });
        }
        std::thread::sleep(delay);
        daemon.kill();
        stop.store(true, Ordering::Relaxed);
    });
    daemon.launch();
}
