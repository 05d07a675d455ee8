//! What can be asked of a container's actor.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use monitor::protocol::{AttachOptions, ExecPlan};
use tokio::sync::oneshot;
use types::Signal;

use crate::error::Error;
use crate::exec::ExecEntry;
use crate::model::{CheckResult, EndpointRequest, Health, UpdateContainer};

pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// Who wants a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartKind {
    /// A client: counters begin anew.
    User,
    /// The restart policy.
    Policy,
}

/// An exec that runs.
#[derive(Debug)]
pub(crate) struct ExecStarted {
    /// Pid on the host.
    pub pid: i32,
    /// Master of its terminal, when it has one.
    pub terminal: Option<OwnedFd>,
}

/// One entry of the actor's queue. Each is answered exactly once.
pub(crate) enum Command {
    /// Start the process.
    Start(StartKind, Reply<()>),
    /// Send a signal to the process.
    Signal(Signal, Reply<()>),
    /// A user wants it stopped: no restart, and a pending one is called off. Answers whether a process exists.
    Stopping(Reply<bool>),
    /// Freeze.
    Pause(Reply<()>),
    /// Freeze for a moment if it runs; answers whether it did. A daemon that starts thaws what was left so.
    Hold(Reply<bool>),
    /// Thaw.
    Unpause(Reply<()>),
    /// Take this name, which is reserved; answers with the old one.
    Rename(String, Reply<String>),
    /// A health check has run; answers with what that makes of the container's health, unless the run is over.
    Checked {
        /// Which watch it belongs to.
        watch: u64,
        /// What came out.
        result: CheckResult,
        /// Answer.
        reply: Reply<Option<Arc<Health>>>,
    },
    /// Change limits and restart policy.
    Update(Box<UpdateContainer>, Reply<()>),
    /// Attach to a network, given by name, now and at later starts.
    Connect(String, Box<EndpointRequest>, Reply<()>),
    /// Take off a network, given by name.
    Disconnect(String, Reply<()>),
    /// Do again for a running container what ended with an earlier daemon: names and links.
    Resume(Reply<()>),
    /// Take the link with this alias away.
    Unlink(String, Reply<()>),
    /// New terminal size: rows, columns.
    Resize(u16, u16, Reply<()>),
    /// Connect a stream to the container, now or at its next start.
    Attach(AttachOptions, OwnedFd, Reply<()>),
    /// Start one more process; descriptors are its stdio unless it has a terminal.
    Exec(Arc<ExecEntry>, Box<ExecPlan>, Vec<OwnedFd>, Reply<ExecStarted>),
    /// New terminal size of an exec: id, rows, columns.
    ResizeExec(String, u16, u16, Reply<()>),
    /// Remove the stopped container, its anonymous volumes too when asked.
    Remove {
        /// Remove anonymous volumes.
        volumes: bool,
        /// Answer.
        reply: Reply<()>,
    },
}
