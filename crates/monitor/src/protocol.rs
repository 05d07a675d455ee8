//! What the daemon and a container's monitor say to one another.
//!
//! Transport: a SEQPACKET unix socket, one JSON message per packet, descriptors beside it (SCM_RIGHTS). The
//! daemon that starts a container hands the monitor one end of a socketpair as its standard input; a daemon
//! that restarted connects to `<run_dir>/control.sock`. Both speak the same protocol. A message longer than
//! [`MAX_INLINE`] travels in a memfd: the packet is the single byte `@` and the memfd is its first descriptor.
//!
//! Every request gets exactly one answer, and answers come in the order of the requests on that connection.
//! Events are not answers: they come between them, on every connection that started or subscribed.
//!
//! | request | descriptors | answer | then |
//! | --- | --- | --- | --- |
//! | `Start` | one stream socket per entry of `attached` | `Started` or `Failed` | `Exited` at the end; after `Failed` the monitor exits |
//! | `Exec` without `tty` | stdin, stdout, stderr of the process | `ExecStarted` or `Failed` | `ExecExited` |
//! | `Exec` with `tty` | none | `ExecStarted` + pty master, or `Failed` | `ExecExited` |
//! | `Attach` | one stream socket | `Ok` or `Error` | bytes on the stream; its end is the container's end |
//! | `Resize` | none | `Ok` or `Error` | |
//! | `ResizeExec` | none | `Ok` or `Error` | |
//! | `CloseStdin` | none | `Ok` | |
//! | `Subscribe` | none | `Started` | events; `OutOfMemory` and `Exited` at once when that has happened |
//! | `WatchMemory` | none | `Ok` or `Error` | `OutOfMemory`; a container that starts with a limit is watched anyway |
//!
//! | event | to whom |
//! | --- | --- |
//! | `ExecExited` | the connection that asked, and every subscriber |
//! | `OutOfMemory` | every connection that started or subscribed |
//! | `Exited` | every connection that started or subscribed; the last message before the monitor ends |
//!
//! An attach stream carries, from the monitor, Docker's stdcopy frames (8-byte header: stream number 1 or 2,
//! three zeros, big-endian length) without a tty and raw bytes with one; to the monitor, raw bytes for the
//! container's stdin. The end of the client's bytes closes the container's stdin when `stdin_once` is set.
//! The daemon kills, pauses and measures containers itself (`runtime::cgroup`, pidfd): there is no request.

use std::path::PathBuf;

use base64::Engine as _;
pub use logs::LogPlan;
use runtime::spec::{Process, Spec};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::packet::{MAX_INLINE, MAX_MESSAGE, Packet, ProtocolError, receive, send};

/// The name of the control socket in the run directory.
pub const CONTROL_SOCKET: &str = "control.sock";
/// The name of the [`MonitorRecord`] in the run directory.
pub const MONITOR_RECORD: &str = "monitor.json";
/// The name of the [`ExitRecord`] in the run directory.
pub const EXIT_RECORD: &str = "exit.json";

/// Everything a monitor must know to start its container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartPlan {
    /// 64 hexadecimal digits.
    pub container_id: String,
    /// An existing directory on the exec root, for the three files named above.
    pub run_dir: PathBuf,
    /// The OCI specification; its `root.path` is ignored in favour of `rootfs.path`.
    pub spec: Spec,
    /// A compiled filter (an array of `struct sock_filter`); `None` compiles `spec.linux.seccomp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Filter>,
    /// The root file system, mounted inside the container's own mount namespace.
    pub rootfs: RootfsPlan,
    /// Where the output is recorded; the monitor writes and sends it itself.
    #[serde(default)]
    pub log: LogPlan,
    /// Gives the container a terminal.
    pub tty: bool,
    /// The terminal's rows and columns at the start; (0, 0) leaves the kernel's default.
    #[serde(default)]
    pub size: (u16, u16),
    /// Keeps stdin open; otherwise it is at its end from the start.
    #[serde(default)]
    pub open_stdin: bool,
    /// Closes stdin when the first attached client that gave input ends.
    #[serde(default)]
    pub stdin_once: bool,
    /// The command is this program under its name `docker-init`, which takes its signals blocked.
    #[serde(default)]
    pub init: bool,
    /// Clients attached before the process runs, so that no byte escapes them; one descriptor each.
    #[serde(default)]
    pub attached: Vec<AttachOptions>,
}

/// Where the root file system is and what must be mounted for it to exist.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RootfsPlan {
    /// Absolute path on the host.
    pub path: PathBuf,
    /// Performed in order, first.
    #[serde(default)]
    pub mounts: Vec<types::Mount>,
}

/// The streams a client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachOptions {
    /// Its bytes go to the container's stdin.
    pub stdin: bool,
    /// It gets the container's stdout (with a tty: everything).
    pub stdout: bool,
    /// It gets the container's stderr.
    pub stderr: bool,
}

/// A request to start one more process in the container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExecPlan {
    /// The daemon's name for it: 64 hexadecimal digits.
    pub exec_id: String,
    /// What to run and as whom.
    pub process: Process,
    /// A compiled filter; `None` installs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Filter>,
    /// Gives it a terminal, whose master goes back with the answer.
    pub tty: bool,
    /// The terminal's rows and columns; (0, 0) leaves the kernel's default.
    #[serde(default)]
    pub size: (u16, u16),
}

/// What the daemon asks. See the table in the module's documentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Start the container. Once, as the first request of the daemon that spawned the monitor.
    Start(Box<StartPlan>),
    /// Start one more process.
    Exec(Box<ExecPlan>),
    /// Connect a client to the container's streams.
    Attach(AttachOptions),
    /// The container's terminal has a new size.
    Resize {
        /// Lines.
        rows: u16,
        /// Characters in a line.
        cols: u16,
    },
    /// An exec's terminal has a new size.
    ResizeExec {
        /// Which exec.
        exec_id: String,
        /// Lines.
        rows: u16,
        /// Characters in a line.
        cols: u16,
    },
    /// Ends the container's stdin.
    CloseStdin,
    /// Send events to this connection too.
    Subscribe,
    /// The container has a limit of memory now: tell when it is hit.
    WatchMemory,
}

/// What the monitor says. See the tables in the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The container's process runs its own program.
    Started {
        /// In the monitor's pid namespace.
        pid: i32,
        /// Field 22 of `/proc/<pid>/stat`: clock ticks since boot. With the pid it names the process for ever.
        start_time: u64,
    },
    /// The container or the exec did not start.
    Failed(Failure),
    /// The exec's process runs its own program.
    ExecStarted {
        /// As asked.
        exec_id: String,
        /// In the monitor's pid namespace.
        pid: i32,
    },
    /// Event: an exec's process has ended.
    ExecExited {
        /// As asked.
        exec_id: String,
        /// Its exit code; 128 + signal when a signal ended it.
        code: i32,
    },
    /// Event: the container hit its limit of memory, and the kernel killed in it.
    OutOfMemory {
        /// How often so far in this run.
        times: u64,
    },
    /// Event: the container has ended and its output is recorded.
    Exited(ExitRecord),
    /// Done.
    Ok,
    /// Not done.
    Error {
        /// In words for the client.
        message: String,
    },
}

/// Why a process did not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which step failed.
    pub phase: Phase,
    /// What the caller can do about it.
    pub kind: FailureKind,
    /// What `docker run` exits with: 127, 126 or 128.
    pub exit_status: i32,
    /// The whole story in Docker's words where Docker has words for it.
    pub message: String,
}

/// The steps of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The request, the run directory, the log file.
    Prepare,
    /// Namespaces, cgroup, mounts, the command.
    Start,
    /// An exec.
    Exec,
}

/// Classes of failure that the daemon answers differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// There is no such program.
    CommandNotFound,
    /// The program may not be executed, or its working directory not be entered.
    NotExecutable,
    /// The user or group does not exist.
    User,
    /// A mount could not be made.
    Mount,
    /// The log could not be opened, or its collector not be reached.
    Log,
    /// The request contradicts itself or the state (400, 409).
    Invalid,
    /// Anything else.
    System,
}

/// How a container ended; the content of `exit.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The exit code; 128 + signal when a signal ended the main process.
    pub code: i32,
    /// The signal that ended the main process.
    #[serde(default)]
    pub signal: Option<i32>,
    /// The kernel killed the main process for want of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// RFC 3339 with nanoseconds, UTC.
    pub finished_at: String,
}

/// The content of `monitor.json`: how a restarted daemon recognises the processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorRecord {
    /// The monitor itself.
    pub monitor_pid: i32,
    /// The container's main process.
    pub pid: i32,
    /// Of the main process, as in [`Reply::Started`].
    pub start_time: u64,
}

/// A compiled seccomp program; base64 in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Filter(pub Vec<u8>);

// === impl Filter ===

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Filter({} bytes)", self.0.len())
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_bytes());
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn filters_are_base64() {
        let text = serde_json::to_string(&Filter(vec![0, 255, 16])).unwrap();
        assert_eq!(text, "\"AP8Q\"");
        assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), Filter(vec![0, 255, 16]));
    }
}
