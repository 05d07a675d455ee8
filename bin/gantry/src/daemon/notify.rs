//! Telling the service manager how the daemon is (sd_notify(3)), and staying alive for its watchdog.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use cli::Environment;
use rustix::time::{ClockId, clock_gettime};

/// The service manager's socket; silent where there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Manager {
    address: Option<String>,
    watchdog: Option<Duration>,
}

// === impl Manager ===

impl Manager {
    /// What the service manager left in the environment.
    pub(super) fn new(environment: &Environment) -> Self {
        let mine = |name: &str| environment.filled(name).is_none_or(|pid| pid == std::process::id().to_string());
        let micros = environment.filled("WATCHDOG_USEC").filter(|_| mine("WATCHDOG_PID"));
        Self {
            address: environment.filled("NOTIFY_SOCKET").map(str::to_owned),
            watchdog: micros.and_then(|text| text.parse().ok()).map(Duration::from_micros),
        }
    }

    /// The API answers.
    pub(super) fn ready(&self) {
        self.say(&format!("READY=1\nMAINPID={}", std::process::id()));
    }

    /// Settings are being read again; `ready` tells the end of it.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The daemon ends.
    pub(super) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// Tells the watchdog for ever, twice as often as it asks for, that the event loop turns.
    pub(super) async fn stay_alive(self) {
        let Some(interval) = self.watchdog.map(|whole| whole / 2).filter(|half| !half.is_zero()) else { return };
        let mut ticks = tokio::time::interval(interval);
        loop {
            ticks.tick().await;
            self.say("WATCHDOG=1");
        }
    }

    fn say(&self, message: &str) {
        let Some(address) = &self.address else { return };
        if let Err(error) = send(address, message) {
            tracing::warn!(%error, address, "the service manager was not told");
        }
    }
}

/// One datagram; a name that begins with `@` is no file.
fn send(address: &str, message: &str) -> std::io::Result<()> {
    let target = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &target).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_with_and_without_a_file_are_told() {
        let name = format!("gantry-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let receiver = UnixDatagram::bind_addr(&address).expect("bind");
        let environment = Environment::new([("NOTIFY_SOCKET".into(), format!("@{name}").into())]);
        Manager::new(&environment).ready();
        let mut buffer = [0; 100];
        let count = receiver.recv(&mut buffer).expect("told");
        assert!(buffer[..count].starts_with(b"READY=1\nMAINPID="));
        assert!(send("/nonexistent/socket", "X=1").is_err());
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_ours() {
        let variables = |pid: &str| {
            Environment::new([
                ("WATCHDOG_USEC".into(), "2000000".into()),
                ("WATCHDOG_PID".into(), pid.to_owned().into()),
            ])
        };
        assert!(Manager::new(&variables("1")).watchdog.is_none());
        let own = std::process::id().to_string();
        assert_eq!(Manager::new(&variables(&own)).watchdog, Some(Duration::from_secs(2)));
    }
}
