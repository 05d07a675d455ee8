//! Unix SEQPACKET sockets that carry one message, and file descriptors, per packet (unix(7), SCM_RIGHTS).
//!
//! The sockets know nothing of an event loop: in non-blocking mode every call that would wait returns
//! [`io::ErrorKind::WouldBlock`], so that epoll and tokio's `AsyncFd` drive them alike.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

/// The most descriptors one packet can carry.
pub const MAX_FDS: usize = 32;

/// One end of a connection. Descriptors are received close-on-exec.
#[derive(Debug)]
pub struct SeqPacket(OwnedFd);

/// A listening socket in the file system.
#[derive(Debug)]
pub struct SeqPacketListener(OwnedFd);

// === impl SeqPacket ===

impl SeqPacket {
    /// Two connected ends, both close-on-exec and blocking.
    ///
    /// # Errors
    /// socketpair(2).
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(a), Self(b)))
    }

    /// Connects to a listening socket. The path may be longer than `sun_path` allows.
    ///
    /// # Errors
    /// open(2) of the directory, connect(2).
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = socket()?;
        with_address(path, |address| rustix::net::connect(&socket, address))?;
        Ok(Self(socket))
    }

    /// Takes a descriptor that is already a connected SEQPACKET socket.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Switches between waiting and [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// fcntl(2).
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        let flags = fcntl_getfl(&self.0)?;
        Ok(fcntl_setfl(&self.0, if nonblocking { flags | OFlags::NONBLOCK } else { flags - OFlags::NONBLOCK })?)
    }

    /// Sends one packet. It goes whole or not at all.
    ///
    /// # Errors
    /// sendmsg(2): `WouldBlock` when the queue is full and the socket does not wait, `EMSGSIZE` when the
    /// packet is larger than the send buffer, `EPIPE` (never SIGPIPE) when the peer is gone;
    /// `InvalidInput` for an empty packet, which the peer could not tell from the end of the connection, and
    /// for more than [`MAX_FDS`] descriptors.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if bytes.is_empty() || fds.len() > MAX_FDS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        let flags = SendFlags::NOSIGNAL;
        rustix::io::retry_on_intr(|| rustix::net::sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, flags))?;
        Ok(())
    }

    /// Receives one packet into `buffer` and appends its descriptors to `fds`. Returns the packet's length;
    /// 0 means that the peer closed the connection.
    ///
    /// # Errors
    /// recvmsg(2): `WouldBlock` when nothing is there and the socket does not wait; `InvalidData` when the
    /// packet was larger than `buffer` (it is lost, and its descriptors are closed).
    pub fn recv(&self, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let into = &mut [IoSliceMut::new(buffer)];
            match rustix::net::recvmsg(&self.0, into, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                result => break result?,
            }
        };
        let truncated = received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(passed) = message {
                // Draining also when truncated closes what was passed.
                passed.for_each(|fd| if truncated { drop(fd) } else { fds.push(fd) });
            }
        }
        if truncated { Err(io::ErrorKind::InvalidData.into()) } else { Ok(received.bytes) }
    }

    /// Asks the kernel for room for this many bytes of unread packets (`SO_SNDBUF`; silently capped by
    /// `net.core.wmem_max`).
    ///
    /// # Errors
    /// setsockopt(2).
    pub fn set_send_buffer(&self, bytes: usize) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_send_buffer_size(&self.0, bytes)?)
    }
}

impl AsFd for SeqPacket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for SeqPacket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<SeqPacket> for OwnedFd {
    fn from(socket: SeqPacket) -> OwnedFd {
        socket.0
    }
}

// === impl SeqPacketListener ===

impl SeqPacketListener {
    /// Creates the socket file (which must not exist) and listens. Mode 0600 by the caller's umask rules:
    /// place it in a directory that only its users may enter.
    ///
    /// # Errors
    /// open(2) of the directory, bind(2), listen(2).
    pub fn bind(path: &Path) -> io::Result<Self> {
        let socket = socket()?;
        with_address(path, |address| rustix::net::bind(&socket, address))?;
        rustix::net::listen(&socket, 64)?;
        Ok(Self(socket))
    }

    /// The next connection, close-on-exec and non-blocking.
    ///
    /// # Errors
    /// accept4(2); `WouldBlock` when the listener does not wait and nobody is there.
    pub fn accept(&self) -> io::Result<SeqPacket> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(SeqPacket(rustix::io::retry_on_intr(|| rustix::net::accept_with(&self.0, flags))?))
    }

    /// Switches between waiting and [`io::ErrorKind::WouldBlock`] in [`Self::accept`].
    ///
    /// # Errors
    /// fcntl(2).
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        let flags = fcntl_getfl(&self.0)?;
        Ok(fcntl_setfl(&self.0, if nonblocking { flags | OFlags::NONBLOCK } else { flags - OFlags::NONBLOCK })?)
    }
}

impl AsFd for SeqPacketListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// `sun_path` holds 107 bytes and a container's run directory alone can be longer: longer paths go through
/// a descriptor of the directory.
fn with_address(path: &Path, call: impl FnOnce(&SocketAddrUnix) -> rustix::io::Result<()>) -> io::Result<()> {
    if let Ok(address) = SocketAddrUnix::new(path) {
        return Ok(call(&address)?);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = File::from(rustix::fs::open(parent, flags, Mode::empty())?);
    let short: PathBuf = ["/proc/self/fd", &directory.as_raw_fd().to_string()].iter().collect();
    Ok(call(&SocketAddrUnix::new(short.join(name))?)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn carries_packets_and_descriptors() {
        let (a, b) = SeqPacket::pair().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        a.send(b"one", &[writer.as_fd()]).unwrap();
        a.send(b"two!", &[]).unwrap();
        drop(writer);
        let (mut buffer, mut fds) = ([0; 16], Vec::new());
        assert_eq!(b.recv(&mut buffer, &mut fds).unwrap(), 3);
        assert_eq!(&buffer[..3], b"one");
        File::from(fds.pop().unwrap()).write_all(b"through").unwrap();
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        assert_eq!(b.recv(&mut buffer, &mut fds).unwrap(), 4);
        assert!(fds.is_empty());
        b.set_nonblocking(true).unwrap();
        assert_eq!(b.recv(&mut buffer, &mut fds).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(a);
        assert_eq!(b.recv(&mut buffer, &mut fds).unwrap(), 0);
        assert_eq!(b.send(b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn refuses_what_the_peer_could_not_understand() {
        let (a, b) = SeqPacket::pair().unwrap();
        assert_eq!(a.send(b"", &[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        a.send(b"0123456789", &[b.as_fd()]).unwrap();
        let mut fds = Vec::new();
        assert_eq!(b.recv(&mut [0; 4], &mut fds).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(fds.is_empty());
    }

    #[test]
    fn listens_on_paths_longer_than_sun_path() {
        let base = std::env::temp_dir().join(format!("sys-seqpacket-{}", std::process::id()));
        let directory = base.join("d".repeat(120));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("control.sock");
        let listener = SeqPacketListener::bind(&path).unwrap();
        let client = SeqPacket::connect(&path).unwrap();
        let server = listener.accept().unwrap();
        client.send(b"hello", &[]).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(server.recv(&mut buffer, &mut Vec::new()).unwrap(), 5);
        std::fs::remove_dir_all(&base).unwrap();
    }
}
