//! An engine with a network and an `/etc/resolv.conf` of its own: what the host asks can be changed there, port 53 of any
//! loopback address is free, and devices and rules are nobody else's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::daemon::Daemon;
use crate::names::{Asked, Server};
use crate::options::{Engine, Options, gantry_binary};

/// An engine with a network of its own.
pub struct Isolated {
    /// The engine; its process is in the network.
    pub daemon: Daemon,
    directory: tempfile::TempDir,
}

// === impl Isolated ===

impl Isolated {
    /// An engine whose host asks these servers.
    pub fn start(servers: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = match Engine::under_test() {
            Engine::Gantry => gantry_binary(),
            Engine::Dockerd => PathBuf::from("dockerd"),
        };
        // Mounts of engines of other tests came along; whoever cleans up behind those would take this one for theirs. And
        // the reference wants its bridge made for it.
        let inside = format!(
            r#"#!/bin/sh
awk '$5 ~ "/gt[0-9]+-[0-9]+/" {{ print $5 }}' /proc/self/mountinfo | sort -r | while read -r mount; do
  umount -l "$mount"
done
mount --bind {directory}/resolv.conf /etc/resolv.conf || exit 9
ip link set lo up
ip addr add fd00:53::53/128 dev lo
if [ "$1" = --bridge ]; then
  ip link add "$2" type bridge
  ip addr add 10.99.0.1/24 dev "$2"
  ip link set "$2" up
fi
exec {program} "$@"
"#,
            directory = directory.path().display(),
            program = program.display(),
        );
        let outside = format!("#!/bin/sh\nexec unshare -m -n {}/inside \"$@\"\n", directory.path().display());
        for (name, script) in [("inside", inside), ("engine", outside)] {
            let path = directory.path().join(name);
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let binary = directory.path().join("engine");
        let write = |servers: &[&str]| fs::write(directory.path().join("resolv.conf"), lines(servers)).unwrap();
        write(servers);
        let daemon = Daemon::start(Options { binary: Some(binary), ..Options::default() });
        Self { daemon, directory }
    }

    /// From now on the host asks others.
    pub fn host_asks(&self, servers: &[&str]) {
        self.host_file(&lines(servers));
    }

    /// Writes the host's `resolv.conf`.
    pub fn host_file(&self, text: &str) {
        fs::write(self.directory.path().join("resolv.conf"), text).unwrap();
    }

    /// A name server in the engine's network.
    pub fn server(
        &self,
        address: &str,
        behaviour: impl Fn(&Asked) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Server {
        Server::start(self.daemon.pid(), address.parse().unwrap(), behaviour)
    }
}

fn lines(servers: &[&str]) -> String {
    servers.iter().map(|server| format!("nameserver {server}\n")).collect()
}
