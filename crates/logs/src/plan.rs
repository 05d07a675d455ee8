//! Everything that has to be known to keep a container's log; the daemon makes it, the monitor carries it out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::writer::FileOptions;

/// Where the output is recorded. Nowhere, when neither is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlan {
    /// The file that `logs` reads: the log itself, or a copy of what goes elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileOptions>,
    /// A collector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteOptions>,
    /// `mode=non-blocking`: the container never waits, and what is more than so many bytes behind is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_beyond: Option<u64>,
}

/// A collector and what it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteOptions {
    /// In which language.
    pub driver: Driver,
    /// Where; the first that answers when a collector is connected to.
    pub addresses: Vec<Address>,
    /// Connected to later if it is not there now.
    #[serde(default)]
    pub lazy: bool,
    /// How a lost connection is made again.
    pub retry: Retry,
    /// The container waits while there is no connection; otherwise the latest lines are dropped.
    #[serde(default)]
    pub patient: bool,
    /// The most bytes that wait to be sent before the container waits, or lines are dropped.
    pub buffer: u64,
    /// The most entries that wait to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer_entries: Option<u64>,
}

/// How often and how quickly a connection is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Milliseconds before the first new try; each further one waits half as long again.
    pub first: u64,
    /// Milliseconds at most.
    pub longest: u64,
    /// After so many failures what waits is dropped; `None` keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Where a collector listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// One datagram an entry (or a part of it).
    Udp(SocketAddr),
    /// A stream.
    Tcp(SocketAddr),
    /// A stream socket in the file system.
    Unix(PathBuf),
    /// A datagram socket in the file system.
    UnixDatagram(PathBuf),
}

/// What a collector understands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// RFC 3164, RFC 5424, or what syslog(3) writes.
    Syslog {
        /// The shape of a message.
        format: SyslogFormat,
        /// 0 to 23.
        facility: u8,
        /// Of this machine.
        hostname: String,
        /// The name of the program.
        tag: String,
        /// Seconds east of Greenwich.
        offset: i32,
    },
    /// journald's native protocol.
    Journald {
        /// Sent with every entry.
        fields: Vec<(String, String)>,
    },
    /// GELF 1.1.
    Gelf {
        /// Of this machine.
        hostname: String,
        /// Further keys with their underscores.
        extra: BTreeMap<String, String>,
        /// Of datagrams.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compression: Option<Compression>,
    },
    /// Fluentd's forward protocol, message mode.
    Fluentd {
        /// The event's tag.
        tag: String,
        /// Sent with every entry.
        fields: BTreeMap<String, String>,
        /// Event times with nanoseconds.
        sub_second: bool,
    },
}

/// The shapes of a syslog message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyslogFormat {
    /// As syslog(3) writes to `/dev/log`: no host name.
    Unix,
    /// RFC 3164.
    Rfc3164,
    /// RFC 5424 with whole seconds.
    Rfc5424,
    /// RFC 5424 with microseconds.
    Rfc5424Micro,
}

/// How GELF datagrams are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// RFC 1952, at this level (-1 is the usual one).
    Gzip(i32),
    /// RFC 1950, at this level (-1 is the usual one).
    Zlib(i32),
}
