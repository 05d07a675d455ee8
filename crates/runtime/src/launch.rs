//! Cloning the container's process, with a launcher in between where namespaces demand it.
//!
//! The launcher is a short-lived process that enters what can only be entered by being born there, and makes the
//! container's process its own sibling (`CLONE_PARENT`): so that the caller is its parent in any case, and never
//! leaves its own namespaces.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};
use sys::clone3::{CloneOptions, Cloned, clone3, exit_now};

use crate::channel::{Channel, Message};
use crate::error::{Error, Step};

/// How to make the process.
pub(crate) struct Launch<'a> {
    /// `CLONE_NEW*` bits of the process.
    pub namespaces: u64,
    /// Cgroup v2 directory to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// What the launcher does before it clones; `None` needs no launcher.
    pub before: Option<&'a dyn Fn() -> Result<(), Error>>,
}

/// The new process, as its parent sees it.
#[derive(Debug)]
pub(crate) struct Launched {
    pub pid: Pid,
    pub pidfd: OwnedFd,
    pub channel: Channel,
}

// === impl Launch ===

impl Launch<'_> {
    /// Makes the process, which runs `child` with its end of a new channel.
    pub fn run(self, child: impl FnOnce(Channel)) -> Result<Launched, Error> {
        let (ours, theirs) = Channel::pair().map_err(Error::step(Step::Synchronise, ""))?;
        let Some(before) = self.before else {
            let options = CloneOptions { namespaces: self.namespaces, sibling: false, cgroup: self.cgroup };
            return match clone_into(options)? {
                Cloned::Parent { pid, pidfd } => Ok(Launched { pid: pid_of(pid)?, pidfd, channel: ours }),
                Cloned::Child => {
                    drop(ours);
                    child(theirs);
                    exit_now(1)
                }
            };
        };
        match clone_into(CloneOptions::default())? {
            Cloned::Parent { pid: launcher, .. } => {
                drop(theirs);
                let result = receive_pid(ours);
                // Its end says nothing more: it has spoken on the channel, or died and closed it.
                let _ = rustix::io::retry_on_intr(|| waitpid(Pid::from_raw(launcher), WaitOptions::empty()));
                result
            }
            Cloned::Child => {
                drop(ours);
                let options = CloneOptions { namespaces: self.namespaces, sibling: true, cgroup: self.cgroup };
                let cloned = before().and_then(|()| clone_into(options));
                let said = match cloned {
                    Ok(Cloned::Child) => {
                        child(theirs);
                        exit_now(1)
                    }
                    Ok(Cloned::Parent { pid, .. }) => theirs.send(&Message::Pid(pid)),
                    Err(error) => theirs.send(&Message::Failed(error)),
                };
                exit_now(i32::from(said.is_err()))
            }
        }
    }
}

fn clone_into(options: CloneOptions<'_>) -> Result<Cloned, Error> {
    clone3(options).map_err(Error::step(Step::Clone, ""))
}

fn receive_pid(channel: Channel) -> Result<Launched, Error> {
    match channel.receive().map_err(Error::step(Step::Synchronise, ""))? {
        Message::Pid(pid) => {
            let pid = pid_of(pid)?;
            // It is our child and not reaped: the number cannot have passed to another process.
            let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(Error::step(Step::Clone, "pidfd"))?;
            Ok(Launched { pid, pidfd, channel })
        }
        Message::Failed(error) => Err(error),
        _ => Err(Error::Died { status: "launcher".to_owned() }),
    }
}

fn pid_of(pid: i32) -> Result<Pid, Error> {
    Pid::from_raw(pid).ok_or_else(|| Error::step(Step::Clone, "pid")(io::Error::from(io::ErrorKind::InvalidData)))
}

// === impl Launched ===

impl Launched {
    /// Kills the process, waits for its end, and says how that was.
    pub fn discard(&self) -> String {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
        match rustix::io::retry_on_intr(|| waitpid(Some(self.pid), WaitOptions::empty())) {
            Ok(Some((_, status))) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => format!("exit status {code}"),
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => "unknown status".to_owned(),
            },
            _ => "unknown status".to_owned(),
        }
    }
}
