//! The engine's end of the connection to a monitor.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::Child;

use monitor::protocol::{self, CONTROL_SOCKET, ExitRecord, ProtocolError, Reply, Request};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sys::seqpacket::SeqPacket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use crate::error::Error;

/// The answer to one request: the message and the descriptors that came with it.
pub(crate) type Answer = (Reply, Vec<OwnedFd>);

/// A container's process and the connection to its monitor.
pub(crate) struct MonitorLink {
    socket: AsyncFd<SeqPacket>,
    /// Answers come in the order of the requests.
    waiting: VecDeque<oneshot::Sender<Answer>>,
    buffer: Vec<u8>,
    /// Of the container's first process, in the host's numbering.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`.
    pub start_time: u64,
    /// Names that process for ever, unlike its pid.
    pub pidfd: Option<OwnedFd>,
    /// The monitor, when it is a child of this daemon and must be reaped.
    pub child: Option<Child>,
}

/// What a monitor says by itself.
pub(crate) enum Said {
    /// An exec has ended.
    ExecExited { exec_id: String, code: i32 },
    /// It ran out of memory, for the n-th time in this run.
    OutOfMemory(u64),
    /// The container has ended.
    Exited(ExitRecord),
    /// The connection broke: the monitor is gone.
    Gone,
}

// === impl MonitorLink ===

impl MonitorLink {
    /// Takes over a connection on which the container was started or subscribed to.
    pub(crate) fn new(socket: SeqPacket, pid: i32, start_time: u64) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        #[expect(deprecated, reason = "its successor is unsafe; the descriptor is owned and never replaced here")]
        let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
        // The process may have ended by now; then there is nothing left to signal.
        let pidfd = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Ok(Self { socket, waiting: VecDeque::new(), buffer: Vec::new(), pid, start_time, pidfd, child: None })
    }

    /// Connects to the monitor of a container that was started by an earlier daemon. Blocks briefly.
    ///
    /// # Errors
    /// When nobody listens, or when the container has ended: look for its exit record then.
    pub(crate) fn reconnect(run_directory: &Path) -> Result<Self, ProtocolError> {
        let socket = SeqPacket::connect(&run_directory.join(CONTROL_SOCKET))?;
        protocol::send(&socket, &Request::Subscribe, &[])?;
        match protocol::receive::<Reply>(&socket, &mut Vec::new())? {
            (Reply::Started { pid, start_time }, _) => Ok(Self::new(socket, pid, start_time)?),
            _ => Err(ProtocolError::Closed),
        }
    }

    /// Sends a request. The answer comes through the returned channel while somebody calls [`Self::next`].
    ///
    /// # Errors
    /// [`Error::MonitorGone`].
    pub(crate) fn request(
        &mut self,
        id: &str,
        request: &Request,
        fds: &[OwnedFd],
    ) -> Result<oneshot::Receiver<Answer>, Error> {
        let borrowed: Vec<_> = fds.iter().map(OwnedFd::as_fd).collect();
        // A monitor answers at once and its queue holds many packets; full means that it hangs.
        protocol::send(self.socket.get_ref(), request, &borrowed).map_err(|error| {
            tracing::warn!(container = id, error = &error as &dyn std::error::Error, "monitor request failed");
            Error::MonitorGone(id.to_owned())
        })?;
        let (sender, receiver) = oneshot::channel();
        self.waiting.push_back(sender);
        Ok(receiver)
    }

    /// Waits for the next thing the monitor says by itself, handing out answers on the way. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Said {
        loop {
            let Ok(mut ready) = self.socket.readable().await else { return Said::Gone };
            match protocol::receive::<Reply>(self.socket.get_ref(), &mut self.buffer) {
                Ok((Reply::Exited(record), _)) => return Said::Exited(record),
                Ok((Reply::ExecExited { exec_id, code }, _)) => return Said::ExecExited { exec_id, code },
                Ok((Reply::OutOfMemory { times }, _)) => return Said::OutOfMemory(times),
                Ok(answer) => {
                    if let Some(waiting) = self.waiting.pop_front() {
                        // The client may have left; its answer is then nobody's.
                        let _ = waiting.send(answer);
                    }
                }
                Err(ProtocolError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready.clear_ready();
                    self.buffer = Vec::new();
                }
                Err(_) => return Said::Gone,
            }
        }
    }
}

/// The one thing that an `Option<MonitorLink>` in a `select!` needs: no link, no message.
pub(crate) async fn next_of(link: &mut Option<MonitorLink>) -> Said {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

/// The record of a container's end; `None` when it has not ended, or its monitor was killed.
pub(crate) fn exit_record(run_directory: &Path) -> Option<ExitRecord> {
    monitor::client::exit_record(run_directory).ok().flatten()
}
