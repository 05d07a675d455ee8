//! One stream of the container's output: a pipe's reading end or a terminal's master.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use logs::Stream;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use crate::poller::{Poller, Token};

/// A pipe's capacity as the kernel makes it, in bytes; a read of so much means that the pipe was full.
const PIPE: usize = 64 * 1024;
/// The capacity given to the pipes of talkative containers; the most that needs no privilege.
const WIDE_PIPE: usize = 1024 * 1024;
/// A terminal that nobody has open inside the container is looked at again after this time.
const TERMINAL_CLOSED: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(crate) struct Output {
    fd: OwnedFd,
    stream: Stream,
    tty: bool,
    wide: bool,
    polled: bool,
    /// When to look again at a terminal that was closed inside.
    pub(crate) again: Option<Instant>,
}

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Bytes(usize),
    Nothing,
    /// No writer is left: for ever with a pipe, perhaps for now with a terminal.
    Closed,
}

// === impl Output ===

impl Output {
    /// `fd` must be non-blocking.
    pub(crate) fn new(fd: OwnedFd, stream: Stream, tty: bool) -> Self {
        Self { fd, stream, tty, wide: false, polled: false, again: None }
    }

    pub(crate) fn is(&self, stream: Stream) -> bool {
        self.stream == stream
    }

    pub(crate) fn stream(&self) -> Stream {
        self.stream
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.tty
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Starts or stops watching.
    pub(crate) fn poll(&mut self, wanted: bool, poller: &Poller) {
        if wanted != self.polled {
            if wanted {
                let _ = poller.add(&self.fd, Token::Output(self.stream), EventFlags::IN);
            } else {
                poller.remove(&self.fd);
            }
            self.polled = wanted;
        }
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Got {
        match rustix::io::read(&self.fd, &mut *buffer) {
            Ok(0) => Got::Closed,
            Ok(length) => {
                if length >= PIPE && !self.wide && !self.tty {
                    // Only now: most containers never fill a pipe, and its pages are kernel memory.
                    let _ = rustix::pipe::fcntl_setpipe_size(&self.fd, WIDE_PIPE);
                    self.wide = true;
                }
                Got::Bytes(length)
            }
            Err(Errno::AGAIN | Errno::INTR) => Got::Nothing,
            Err(_) => Got::Closed,
        }
    }

    /// A terminal has no opener at the moment: look again later instead of being told of it all the time.
    pub(crate) fn rest(&mut self, now: Instant, poller: &Poller) {
        self.poll(false, poller);
        self.again = Some(now + TERMINAL_CLOSED);
    }
}
