//! `dockerd` with Docker's own places, in namespaces of its own (mounts, network, processes): default paths and fixed
//! ports are free there, and everything dies with the script.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::options::{Engine, gantry_binary};

/// `up FLAGS…` starts the daemon and waits until `$DOCKER_HOST` answers; `down` ends it; `fails FLAGS…` expects it to
/// end by itself.
const PRELUDE: &str = r#"
set -u
# Mounts of engines of other tests came along; they are none of ours.
awk '$5 ~ "^/tmp/gt" { print $5 }' /proc/self/mountinfo | sort -r | while read -r mount; do umount -l "$mount"; done
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/lib
mkdir -p /run/lock /run/sshd /etc/docker && mount -t tmpfs tmpfs /etc/docker
{ grep -v '^docker:' /etc/group; echo docker:x:4711:; } >group && mount --bind group /etc/group
ip link set lo up
export HOME=$PWD/home PATH=$PWD/bin:$PATH DOCKER_HOST=unix:///var/run/docker.sock
P=
up() {
  bin/dockerd "$@" >>log 2>&1 & P=$!
  i=0
  until timeout 20 docker version >/dev/null 2>&1; do
    i=$((i + 1)); [ $i -lt 300 ] && kill -0 $P || { echo "the daemon does not answer"; cat log; exit 9; }
    sleep 0.1
  done
}
down() { kill $P; wait $P; code=$?; [ $code = 0 ] || echo "the daemon ended with $code"; P=; }
fails() { timeout 30 bin/dockerd "$@" >out 2>&1; echo "exit $?"; cat out; }
quiet="--bridge none --iptables=false --ip-forward=false"
"#;

/// A directory with `bin/dockerd` and a shell in namespaces of its own.
pub struct Sandbox {
    directory: tempfile::TempDir,
}

impl Sandbox {
    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// An empty one with the engine under test.
    #[allow(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for part in ["bin", "home"] {
            fs::create_dir(directory.path().join(part)).unwrap();
        }
        let sandbox = Self { directory };
        let link = |target: PathBuf, name: &str| {
            std::os::unix::fs::symlink(target, sandbox.path(&format!("bin/{name}"))).unwrap();
        };
        match Engine::under_test() {
            Engine::Gantry => {
                link(gantry_binary(), "dockerd");
                link(gantry_binary(), "gantry");
            }
            Engine::Dockerd => link(PathBuf::from("/usr/sbin/dockerd"), "dockerd"),
        }
        sandbox
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A script in the namespaces, behind what every script has; bounded by `timeout`.
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["-k", "5", "110", "unshare", "-m", "-n", "-p", "-f", "--kill-child", "--mount-proc", "sh", "-c"])
            .arg(format!("{PRELUDE}{script}"))
            .current_dir(self.directory.path())
            .env_remove("DOCKER_TLS_VERIFY")
            .env_remove("DOCKER_CERT_PATH")
            .env_remove("NOTIFY_SOCKET")
            .env("DOCKER_CLI_HINTS", "false")
            .stdin(Stdio::null());
        command
    }

    /// Runs a script to its end; gives what it printed.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        let output = self.command(script).output().unwrap();
        let text = both(&output);
        assert!(output.status.success(), "{:?}\n{text}\n--- log\n{}", output.status, self.log());
        text
    }

    /// What the daemon wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

/// Stdout, then stderr.
pub fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Demands a text.
#[track_caller]
pub fn has(text: &str, wanted: &str) {
    assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
}

/// Demands that a text is not there.
#[track_caller]
pub fn lacks(text: &str, unwanted: &str) {
    assert!(!text.contains(unwanted), "{unwanted:?} is in\n{text}");
}
