//! epoll(7) with names instead of numbers.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use logs::Stream;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Whose descriptor has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The signalfd.
    Signals,
    /// The control socket.
    Listener,
    /// A daemon's connection.
    Connection(u32),
    /// The container's output; with a terminal `Stdout` is its master.
    Output(Stream),
    /// The container's input, when it can take more.
    Stdin,
    /// An attached client.
    Client(u32),
    /// The terminal of an exec whose daemon is gone.
    Console(u32),
    /// The connection to the log's collector.
    Log,
    /// The control group's word of memory that ran out.
    Memory,
}

#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

const EVENTS: usize = 16;

// === impl Poller ===

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    pub(crate) fn add(&self, fd: impl AsFd, token: Token, interest: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token.to_number()), interest)?)
    }

    pub(crate) fn change(&self, fd: impl AsFd, token: Token, interest: EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(token.to_number()), interest)?)
    }

    /// Forgets a descriptor. Closing is not enough where a child may hold a copy.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits for events or the deadline, and appends what happened.
    pub(crate) fn wait(&self, deadline: Option<Instant>, into: &mut Vec<(Token, EventFlags)>) -> io::Result<()> {
        let timeout = deadline.map(|deadline| {
            // Rounded up, or the loop would spin through the last millisecond.
            let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            rustix::event::Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        let mut events = [MaybeUninit::<Event>::uninit(); EVENTS];
        let (happened, _) = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            result => result?,
        };
        for event in happened {
            if let Some(token) = Token::from_number(event.data.u64()) {
                into.push((token, event.flags));
            }
        }
        Ok(())
    }
}

// === impl Token ===

impl Token {
    fn to_number(self) -> u64 {
        let (kind, id) = match self {
            Self::Signals => (0, 0),
            Self::Listener => (1, 0),
            Self::Connection(id) => (2, id),
            Self::Output(Stream::Stdout) => (3, 0),
            Self::Output(Stream::Stderr) => (3, 1),
            Self::Stdin => (4, 0),
            Self::Client(id) => (5, id),
            Self::Console(id) => (6, id),
            Self::Log => (7, 0),
            Self::Memory => (8, 0),
        };
        (kind << 32) | u64::from(id)
    }

    fn from_number(number: u64) -> Option<Self> {
        let id = number as u32;
        Some(match number >> 32 {
            0 => Self::Signals,
            1 => Self::Listener,
            2 => Self::Connection(id),
            3 => Self::Output(if id == 0 { Stream::Stdout } else { Stream::Stderr }),
            4 => Self::Stdin,
            5 => Self::Client(id),
            6 => Self::Console(id),
            7 => Self::Log,
            8 => Self::Memory,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        for token in [
            Token::Signals,
            Token::Listener,
            Token::Connection(7),
            Token::Output(Stream::Stdout),
            Token::Output(Stream::Stderr),
            Token::Stdin,
            Token::Client(u32::MAX),
            Token::Console(0),
            Token::Log,
            Token::Memory,
        ] {
            assert_eq!(Token::from_number(token.to_number()), Some(token));
        }
    }
}
