//! The process side of a container: what runs, as whom, with which streams.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

pub use ::network::Protocol;
use serde::{Deserialize, Serialize};
use types::Signal;

/// A port inside a container, written `80/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortKey {
    /// Port number, 1 to 65535.
    pub port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
}

impl fmt::Display for PortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol)
    }
}

impl FromStr for PortKey {
    type Err = String;
    /// Parses `80`, `80/tcp`, `53/udp`; the error is the offending text.
    fn from_str(text: &str) -> Result<Self, String> {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = protocol.parse().map_err(|_| text.to_owned())?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| text.to_owned())?;
        Ok(Self { port, protocol })
    }
}

impl TryFrom<String> for PortKey {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PortKey> for String {
    fn from(key: PortKey) -> String {
        key.to_string()
    }
}

/// A health check as an image or a request states it. Durations in nanoseconds; 0 means "inherit".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`.
    pub test: Vec<String>,
    /// Time between checks.
    pub interval: i64,
    /// Time one check may take.
    pub timeout: i64,
    /// Time at the start in which failures do not count.
    pub start_period: i64,
    /// Time between checks during the start period.
    pub start_interval: i64,
    /// Failures in a row that make the container unhealthy.
    pub retries: i64,
}

/// Docker's `Config`: image configuration merged with the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerConfig {
    /// Host name; empty until create fills in the short id.
    pub hostname: String,
    /// NIS domain name.
    pub domainname: String,
    /// `user[:group]`, names or numbers; empty means root.
    pub user: String,
    /// Attach stdin at `docker run`.
    pub attach_stdin: bool,
    /// Attach stdout at `docker run`.
    pub attach_stdout: bool,
    /// Attach stderr at `docker run`.
    pub attach_stderr: bool,
    /// Ports the image or the request declares.
    pub exposed_ports: BTreeSet<PortKey>,
    /// Those of them that the request wrote without a protocol, which is shown again as it was written.
    pub exposed_bare: BTreeSet<PortKey>,
    /// Whether the process gets a terminal.
    pub tty: bool,
    /// Whether stdin stays open without an attached client.
    pub open_stdin: bool,
    /// Whether stdin closes when the first attached client leaves.
    pub stdin_once: bool,
    /// `KEY=value` entries; an entry without `=` removes the variable of the image.
    pub env: Vec<String>,
    /// Arguments, or the command when there is no entrypoint. `None`: not given.
    pub cmd: Option<Vec<String>>,
    /// Entrypoint. `None`: not given; empty: reset.
    pub entrypoint: Option<Vec<String>>,
    /// Health check, where one is set.
    pub healthcheck: Option<Healthcheck>,
    /// The image as the request named it.
    pub image: String,
    /// Paths that get an anonymous volume.
    pub volumes: BTreeSet<String>,
    /// Working directory.
    pub working_dir: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Signal that `stop` sends first.
    pub stop_signal: Option<Signal>,
    /// Seconds that `stop` waits before it kills; -1 waits for ever.
    pub stop_timeout: Option<i64>,
    /// Shell of the image's shell forms.
    pub shell: Option<Vec<String>>,
    /// Whether networking is off (`NetworkDisabled`).
    pub network_disabled: bool,
    /// ONBUILD triggers of the image.
    pub on_build: Vec<String>,
}

/// A process to start in a running container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecConfig {
    /// Command and arguments; never empty.
    pub cmd: Vec<String>,
    /// `user[:group]`; empty means the container's user.
    pub user: String,
    /// Additional `KEY=value` entries.
    pub env: Vec<String>,
    /// Working directory; empty means the container's.
    pub working_dir: String,
    /// Whether the process gets a terminal.
    pub tty: bool,
    /// Whether all capabilities are given.
    pub privileged: bool,
    /// Whether stdin is connected.
    pub attach_stdin: bool,
    /// Whether stdout is connected.
    pub attach_stdout: bool,
    /// Whether stderr is connected.
    pub attach_stderr: bool,
    /// Keys that detach the client, as the client wrote them.
    pub detach_keys: String,
    /// Rows and columns of the terminal at the start.
    pub console_size: Option<(u16, u16)>,
}
