//! What the runtime and the process it sets up say to one another.
//!
//! One SEQPACKET connection, close-on-exec on both sides; one message a packet: a tag byte and its payload.
//!
//! | from | message | payload | meaning |
//! | --- | --- | --- | --- |
//! | launcher | `Pid` | 4 bytes | the process is this one (it is a child of the runtime) |
//! | runtime | `Go` | | ids are mapped, the cgroup is joined: begin |
//! | process | `Hooks` | | namespaces exist: run prestart and createRuntime |
//! | process | `Console` | a descriptor | master of the pseudo terminal |
//! | process | `Ready` | | only the command is left |
//! | runtime | `Continue` | | answer to `Hooks` and `Ready` |
//! | process | `Failed` | JSON | why it gives up |
//!
//! After the `Continue` that follows `Ready`, the end of the connection means that execve succeeded.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sys::seqpacket::SeqPacket;

use crate::error::{Error, Step};

/// One message.
#[derive(Debug)]
pub(crate) enum Message {
    Pid(i32),
    Go,
    Hooks,
    Console(OwnedFd),
    Ready,
    Continue,
    Failed(Error),
    /// The other side is gone.
    End,
}

/// One end of the connection.
#[derive(Debug)]
pub(crate) struct Channel(SeqPacket);

/// [`Error`] in a form that can be sent.
#[derive(Debug, Serialize, Deserialize)]
enum Failure {
    CommandNotFound(String),
    CommandMissing(String),
    CommandNotExecutable(String),
    CommandIsDirectory(String),
    Execute(String, i32),
    WorkingDirectory(PathBuf, i32),
    Mount(String, PathBuf, i32),
    InvalidSpec(String, String),
    Unsupported(String, String),
    Hook(String, PathBuf, String),
    Step(Step, String, i32),
}

/// The longest message: a failed hook brings along what it wrote.
const LIMIT: usize = 16 * 1024;

// === impl Channel ===

impl Channel {
    /// Two connected ends.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (ours, theirs) = SeqPacket::pair()?;
        Ok((Self(ours), Self(theirs)))
    }

    /// Wraps a connected socket.
    pub fn from_socket(socket: SeqPacket) -> Self {
        Self(socket)
    }

    /// Sends one message.
    pub fn send(&self, message: &Message) -> io::Result<()> {
        let json;
        let mut descriptor: Option<BorrowedFd<'_>> = None;
        let mut number = [0; 4];
        let (tag, payload): (u8, &[u8]) = match message {
            Message::Pid(pid) => {
                number = pid.to_ne_bytes();
                (b'P', &number)
            }
            Message::Go => (b'G', &[]),
            Message::Hooks => (b'H', &[]),
            Message::Console(master) => {
                descriptor = Some(master.as_fd());
                (b'T', &[])
            }
            Message::Ready => (b'R', &[]),
            Message::Continue => (b'C', &[]),
            Message::Failed(error) => {
                json = serde_json::to_vec(&Failure::from_error(error)).map_err(io::Error::from)?;
                (b'F', &json)
            }
            Message::End => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let packet = [&[tag], payload].concat();
        let _ = number;
        self.0.send(&packet, descriptor.as_slice())
    }

    /// Waits for one message.
    pub fn receive(&self) -> io::Result<Message> {
        let mut buffer = vec![0; LIMIT];
        let mut descriptors = Vec::new();
        let reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
        let length = match self.0.recv(&mut buffer, &mut descriptors) {
            // The other end has closed without reading what it was sent. The kernel says so first, and once; what the
            // other end had to say is still in the queue behind it.
            Err(error) if reset(&error) => match self.0.recv(&mut buffer, &mut descriptors) {
                Err(error) if reset(&error) => 0,
                result => result?,
            },
            result => result?,
        };
        let Some((tag, payload)) = buffer[..length].split_first() else { return Ok(Message::End) };
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        Ok(match tag {
            b'P' => Message::Pid(i32::from_ne_bytes(payload.try_into().map_err(|_| invalid())?)),
            b'G' => Message::Go,
            b'H' => Message::Hooks,
            b'T' => Message::Console(descriptors.pop().ok_or_else(invalid)?),
            b'R' => Message::Ready,
            b'C' => Message::Continue,
            b'F' => Message::Failed(serde_json::from_slice::<Failure>(payload).map_err(io::Error::from)?.into_error()),
            _ => return Err(invalid()),
        })
    }
}

// === impl Failure ===

impl Failure {
    fn from_error(error: &Error) -> Self {
        let errno = |source: &io::Error| source.raw_os_error().unwrap_or(libc::EIO);
        match error {
            Error::CommandNotFound { command } => Self::CommandNotFound(command.clone()),
            Error::CommandMissing { command } => Self::CommandMissing(command.clone()),
            Error::CommandNotExecutable { command } => Self::CommandNotExecutable(command.clone()),
            Error::CommandIsDirectory { command } => Self::CommandIsDirectory(command.clone()),
            Error::Execute { command, source } => Self::Execute(command.clone(), errno(source)),
            Error::WorkingDirectory { path, source } => Self::WorkingDirectory(path.clone(), errno(source)),
            Error::Mount { origin, destination, source } => {
                Self::Mount(origin.clone(), destination.clone(), errno(source))
            }
            Error::InvalidSpec { field, reason } => Self::InvalidSpec(field.clone(), reason.clone()),
            Error::Unsupported { what, reason } => Self::Unsupported(what.clone(), reason.clone()),
            Error::Hook { stage, path, reason } => {
                let end = reason.floor_char_boundary(LIMIT / 4);
                Self::Hook(stage.clone(), path.clone(), reason[..end].to_owned())
            }
            Error::Step { step, target, source } => Self::Step(*step, target.clone(), errno(source)),
            // These arise in the caller only.
            Error::Died { .. } | Error::NotRunning { .. } | Error::Cgroup(_) | Error::Seccomp(_) => {
                Self::Step(Step::Synchronise, error.to_string(), libc::EIO)
            }
        }
    }

    fn into_error(self) -> Error {
        let io = io::Error::from_raw_os_error;
        match self {
            Self::CommandNotFound(command) => Error::CommandNotFound { command },
            Self::CommandMissing(command) => Error::CommandMissing { command },
            Self::CommandNotExecutable(command) => Error::CommandNotExecutable { command },
            Self::CommandIsDirectory(command) => Error::CommandIsDirectory { command },
            Self::Execute(command, errno) => Error::Execute { command, source: io(errno) },
            Self::WorkingDirectory(path, errno) => Error::WorkingDirectory { path, source: io(errno) },
            Self::Mount(origin, destination, errno) => Error::Mount { origin, destination, source: io(errno) },
            Self::InvalidSpec(field, reason) => Error::InvalidSpec { field, reason },
            Self::Unsupported(what, reason) => Error::Unsupported { what, reason },
            Self::Hook(stage, path, reason) => Error::Hook { stage, path, reason },
            Self::Step(step, target, errno) => Error::Step { step, target, source: io(errno) },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn errors_survive_the_way() {
        let (a, b) = Channel::pair().unwrap();
        for error in [
            Error::CommandNotFound { command: "foo".into() },
            Error::Step { step: Step::Sysctl, target: "kernel.x".into(), source: io::Error::from_raw_os_error(13) },
            Error::Hook { stage: "prestart".into(), path: "/x".into(), reason: "é".repeat(LIMIT) },
        ] {
            let text = error.to_string();
            a.send(&Message::Failed(error)).unwrap();
            let Message::Failed(received) = b.receive().unwrap() else { panic!("another message") };
            assert!(text.starts_with(&received.to_string()));
        }
        a.send(&Message::Pid(77)).unwrap();
        assert!(matches!(b.receive().unwrap(), Message::Pid(77)));
        drop(a);
        assert!(matches!(b.receive().unwrap(), Message::End));
    }

    #[test]
    fn what_was_said_is_heard_though_the_speaker_left_without_reading() {
        let (a, b) = Channel::pair().unwrap();
        a.send(&Message::Continue).unwrap();
        b.send(&Message::Failed(Error::CommandNotFound { command: "foo".into() })).unwrap();
        drop(b);
        let Message::Failed(received) = a.receive().unwrap() else { panic!("another message") };
        assert!(received.to_string().contains("foo"), "{received}");
        assert!(matches!(a.receive().unwrap(), Message::End));
    }
}
