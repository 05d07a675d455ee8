//! Messages on their way: one JSON text per packet, or in a memfd beside it when it is long.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sys::seqpacket::SeqPacket;

/// The longest message that travels in the packet itself, in bytes; receive buffers have this size.
pub const MAX_INLINE: usize = 64 * 1024;
/// The longest message at all, in bytes.
pub const MAX_MESSAGE: u64 = 64 * 1024 * 1024;

const IN_MEMFD: &[u8] = b"@";

/// A message could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The socket or memfd failed. `WouldBlock` and `BrokenPipe` are ordinary.
    #[error("monitor connection")]
    Io(#[from] io::Error),
    /// The peer speaks something else.
    #[error("malformed monitor message")]
    Malformed(#[from] serde_json::Error),
    /// The message is larger than [`MAX_MESSAGE`] or its memfd is missing.
    #[error("monitor message of {0} bytes does not fit")]
    Size(u64),
    /// The peer closed the connection.
    #[error("monitor connection is closed")]
    Closed,
}

/// A message in the form in which it travels, for a sender that may have to try again.
#[derive(Debug)]
pub struct Packet {
    bytes: Vec<u8>,
    memfd: Option<OwnedFd>,
}

// === impl Packet ===

impl Packet {
    /// Encodes a message.
    ///
    /// # Errors
    /// [`ProtocolError::Size`]; [`ProtocolError::Io`] when the memfd cannot be made.
    pub fn new<T: Serialize>(message: &T) -> Result<Self, ProtocolError> {
        let bytes = serde_json::to_vec(message)?;
        if bytes.len() <= MAX_INLINE {
            return Ok(Self { bytes, memfd: None });
        }
        if bytes.len() as u64 > MAX_MESSAGE {
            return Err(ProtocolError::Size(bytes.len() as u64));
        }
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let mut memfd = File::from(rustix::fs::memfd_create("gantry-message", flags).map_err(io::Error::from)?);
        memfd.write_all(&bytes)?;
        Ok(Self { bytes: IN_MEMFD.to_vec(), memfd: Some(memfd.into()) })
    }

    /// Sends it whole or not at all.
    ///
    /// # Errors
    /// `WouldBlock` when the socket does not wait and its queue is full; see [`SeqPacket::send`].
    pub fn send(&self, socket: &SeqPacket, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let Some(memfd) = &self.memfd else { return socket.send(&self.bytes, fds) };
        let mut all = vec![memfd.as_fd()];
        all.extend_from_slice(fds);
        socket.send(&self.bytes, &all)
    }
}

/// Sends one message and its descriptors.
///
/// # Errors
/// [`ProtocolError::Io`] with `WouldBlock` when the socket does not wait and its queue is full (send the
/// same message again later); [`ProtocolError::Size`].
pub fn send<T: Serialize>(socket: &SeqPacket, message: &T, fds: &[BorrowedFd<'_>]) -> Result<(), ProtocolError> {
    Ok(Packet::new(message)?.send(socket, fds)?)
}

/// Receives one message and its descriptors. `buffer` is scratch space that grows to [`MAX_INLINE`] and can
/// be reused.
///
/// # Errors
/// [`ProtocolError::Closed`] at the end of the connection; [`ProtocolError::Io`] with `WouldBlock` when
/// nothing is there and the socket does not wait; [`ProtocolError::Malformed`].
pub fn receive<T: DeserializeOwned>(
    socket: &SeqPacket,
    buffer: &mut Vec<u8>,
) -> Result<(T, Vec<OwnedFd>), ProtocolError> {
    buffer.resize(MAX_INLINE, 0);
    let mut fds = Vec::new();
    let length = socket.recv(buffer, &mut fds)?;
    if length == 0 {
        return Err(ProtocolError::Closed);
    }
    if &buffer[..length] != IN_MEMFD {
        return Ok((serde_json::from_slice(&buffer[..length])?, fds));
    }
    if fds.is_empty() {
        return Err(ProtocolError::Size(0));
    }
    let mut memfd = File::from(fds.remove(0));
    let size = memfd.metadata()?.len();
    if size > MAX_MESSAGE {
        return Err(ProtocolError::Size(size));
    }
    memfd.rewind()?;
    let mut bytes = Vec::new();
    memfd.take(MAX_MESSAGE).read_to_end(&mut bytes)?;
    Ok((serde_json::from_slice(&bytes)?, fds))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::protocol::Reply;

    #[test]
    fn messages_round_trip_inline_and_in_a_memfd() {
        let (a, b) = SeqPacket::pair().unwrap();
        let mut buffer = Vec::new();
        for length in [1, MAX_INLINE, 1 << 20] {
            let message = Reply::Error { message: "é".repeat(length / 2) };
            let extra = File::open("/dev/null").unwrap();
            send(&a, &message, &[extra.as_fd()]).unwrap();
            let (back, fds) = receive::<Reply>(&b, &mut buffer).unwrap();
            assert_eq!(back, message);
            assert_eq!(fds.len(), 1);
        }
        drop(a);
        assert!(matches!(receive::<Reply>(&b, &mut buffer), Err(ProtocolError::Closed)));
    }
}
