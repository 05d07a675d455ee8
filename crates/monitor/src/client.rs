//! The daemon's side: how a monitor is started and how a running one is found again.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use sys::seqpacket::SeqPacket;

use crate::error::Error;
use crate::protocol::{CONTROL_SOCKET, EXIT_RECORD, ExitRecord, MONITOR_RECORD, MonitorRecord};

/// The name by which the program knows that it is a monitor.
pub const PROGRAM: &str = "gantry-monitor";

/// A monitor that waits for [`crate::protocol::Request::Start`].
#[derive(Debug)]
pub struct Spawned {
    /// The connection to it, blocking until set otherwise.
    pub socket: SeqPacket,
    /// The process, to be waited for when the connection has closed; it ends right after.
    pub child: Child,
}

/// Starts the program at `path` as a monitor, with an empty environment and no other descriptor than its
/// connection, and with that soft limit of descriptors where one is given. Uses posix_spawn(3): safe and cheap in a process with many threads.
///
/// # Errors
/// [`Error::Spawn`].
pub fn spawn(path: &Path, descriptors: Option<u64>) -> Result<Spawned, Error> {
    let failed = |source| Error::Spawn { path: path.to_owned(), source };
    let (socket, theirs) = SeqPacket::pair().map_err(failed)?;
    // As descriptor 0, because that is the one std passes without a fork; the monitor moves it to 3.
    let child = Command::new(path)
        .arg0(PROGRAM)
        .arg("0")
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if descriptors.is_some() {
        // It starts nothing before it has been told what, so this is in time. It may have died: its socket will tell.
        let limit = Rlimit { current: descriptors, ..getrlimit(Resource::Nofile) };
        let _ = prlimit(Some(Pid::from_child(&child)), Resource::Nofile, limit);
    }
    Ok(Spawned { socket, child })
}

/// Connects to the monitor whose run directory this is.
///
/// # Errors
/// connect(2): `NotFound` or `ConnectionRefused` when there is no monitor any more.
pub fn connect(run_dir: &Path) -> io::Result<SeqPacket> {
    SeqPacket::connect(&run_dir.join(CONTROL_SOCKET))
}

/// Reads the record of a container's end; `None` when it has not ended (or the monitor was killed).
///
/// # Errors
/// read(2); `InvalidData` when it is not such a record.
pub fn exit_record(run_dir: &Path) -> io::Result<Option<ExitRecord>> {
    record(&run_dir.join(EXIT_RECORD))
}

/// Reads the record of a running monitor; `None` when there is none.
///
/// # Errors
/// read(2); `InvalidData` when it is not such a record.
pub fn monitor_record(run_dir: &Path) -> io::Result<Option<MonitorRecord>> {
    record(&run_dir.join(MONITOR_RECORD))
}

fn record<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
