//! The container's standard input: bytes from clients, in order, never waiting for the container.

use std::os::fd::OwnedFd;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use crate::poller::{Poller, Token};

/// The writing end of the container's stdin pipe, or a copy of its terminal's master. Non-blocking.
#[derive(Debug, Default)]
pub(crate) struct Stdin {
    fd: Option<OwnedFd>,
    /// What the container has not taken yet. While there is anything, clients are not read.
    pending: Vec<u8>,
    /// Close as soon as nothing is pending.
    closing: bool,
}

// === impl Stdin ===

impl Stdin {
    pub(crate) fn new(fd: Option<OwnedFd>) -> Self {
        Self { fd, pending: Vec::new(), closing: false }
    }

    /// Whether clients may be read: there is room, or nobody will ever take it.
    pub(crate) fn has_room(&self) -> bool {
        self.pending.is_empty()
    }

    /// Passes input on. Without an open stdin it is thrown away, as the client need not know.
    pub(crate) fn feed(&mut self, bytes: &[u8], poller: &Poller) {
        if self.fd.is_none() {
            return;
        }
        let was_waiting = !self.pending.is_empty();
        self.pending.extend_from_slice(bytes);
        if was_waiting {
            return;
        }
        self.flush(poller);
        if let (Some(fd), false) = (&self.fd, self.pending.is_empty()) {
            let _ = poller.add(fd, Token::Stdin, EventFlags::OUT);
        }
    }

    /// The container takes input again. True when everything has gone.
    pub(crate) fn writable(&mut self, poller: &Poller) -> bool {
        self.flush(poller);
        if !self.pending.is_empty() {
            return false;
        }
        if let Some(fd) = &self.fd {
            poller.remove(fd);
        }
        true
    }

    /// Ends the input once what is pending has gone.
    pub(crate) fn close(&mut self, poller: &Poller) {
        self.closing = true;
        if self.pending.is_empty() {
            self.drop_fd(poller);
        }
    }

    fn flush(&mut self, poller: &Poller) {
        let Some(fd) = &self.fd else { return };
        let mut taken = 0;
        let mut broken = false;
        while taken < self.pending.len() {
            match rustix::io::write(fd, &self.pending[taken..]) {
                Ok(written) => taken += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // Nobody reads it any more.
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        if broken || taken == self.pending.len() {
            self.pending = Vec::new();
            if broken || self.closing {
                self.drop_fd(poller);
            }
        } else {
            self.pending.drain(..taken);
        }
    }

    fn drop_fd(&mut self, poller: &Poller) {
        if let Some(fd) = self.fd.take() {
            poller.remove(&fd);
        }
    }
}
