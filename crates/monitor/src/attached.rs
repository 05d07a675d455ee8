//! A client attached to the container's streams, with what it has not taken yet.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use logs::Stream;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

use crate::protocol::AttachOptions;

/// With this much waiting for one client the container's output is no longer read.
pub(crate) const HIGH_WATER: usize = 8 * 1024 * 1024;
/// With this little the container's output is read again.
pub(crate) const LOW_WATER: usize = 4 * 1024 * 1024;
/// A client that takes nothing for so long does not hold the container up any more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) id: u32,
    socket: OwnedFd,
    pub(crate) options: AttachOptions,
    /// What it has not taken: `queue[taken..]`.
    queue: Vec<u8>,
    taken: usize,
    /// When it last took something, or began to have something to take.
    progress: Instant,
    /// It may still send input.
    pub(crate) input_open: bool,
    /// What epoll watches for.
    pub(crate) interest: EventFlags,
}

// === impl Attached ===

impl Attached {
    pub(crate) fn new(id: u32, socket: OwnedFd, options: AttachOptions) -> Self {
        let interest = EventFlags::empty();
        let (queue, progress) = (Vec::new(), Instant::now());
        Self { id, socket, options, queue, taken: 0, progress, input_open: options.stdin, interest }
    }

    pub(crate) fn wants(&self, stream: Stream, tty: bool) -> bool {
        match stream {
            Stream::Stdout => self.options.stdout || (tty && self.options.stderr),
            Stream::Stderr => self.options.stderr,
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue.len() - self.taken
    }

    /// When the client must be given up if it takes nothing until then.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.waiting() > 0).then(|| self.progress + PATIENCE)
    }

    /// Sends a frame (or, without a header, raw bytes); what the socket does not take waits.
    ///
    /// # Errors
    /// The client is gone.
    pub(crate) fn push(&mut self, header: &[u8], bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        if self.waiting() == 0 {
            self.progress = Instant::now();
            sent = self.send(&[IoSlice::new(header), IoSlice::new(bytes)])?;
        }
        if sent < header.len() {
            self.queue.extend_from_slice(&header[sent..]);
        }
        self.queue.extend_from_slice(&bytes[sent.saturating_sub(header.len())..]);
        Ok(())
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// The client is gone.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.waiting() > 0 {
            match self.send(&[IoSlice::new(&self.queue[self.taken..])])? {
                0 => return Ok(()),
                sent => {
                    self.taken += sent;
                    self.progress = Instant::now();
                }
            }
        }
        self.queue = Vec::new();
        self.taken = 0;
        Ok(())
    }

    /// Reads input without waiting; `None` when there is none at the moment, 0 at its end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::net::recv(&self.socket, buffer, rustix::net::RecvFlags::DONTWAIT) {
            Ok((length, _)) => Ok(Some(length)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// How many bytes went out; 0 when the socket is full.
    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match rustix::net::sendmsg(&self.socket, parts, &mut SendAncillaryBuffer::default(), flags) {
            Ok(sent) => Ok(sent),
            Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_a_slow_client_does_not_take_waits_in_order() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut client = Attached::new(1, ours.into(), AttachOptions { stdout: true, ..AttachOptions::default() });
        let mut expected = Vec::new();
        for i in 0..2000_u32 {
            let (header, bytes) = (i.to_be_bytes(), [i as u8; 1000]);
            client.push(&header, &bytes).unwrap();
            expected.extend_from_slice(&header);
            expected.extend_from_slice(&bytes);
        }
        assert!(client.waiting() > 0);
        assert!(client.deadline().is_some());
        let mut got = vec![0; expected.len()];
        let mut at = 0;
        while at < got.len() {
            at += theirs.read(&mut got[at..]).unwrap();
            client.flush().unwrap();
        }
        assert!(got == expected);
        assert_eq!((client.waiting(), client.deadline()), (0, None));
        drop(theirs);
        assert!(client.push(b"", b"x").is_err());
    }
}
