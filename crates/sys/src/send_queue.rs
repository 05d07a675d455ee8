//! What a socket's peer has not taken yet (`SIOCOUTQ`, unix(7) and tcp(7)).

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

/// Bytes (with the kernel's own overhead) that were written to a socket and that its peer has not read from a unix
/// socket, or not acknowledged on TCP; zero when everything is there.
///
/// # Errors
/// ioctl(2), for example when the descriptor is no socket.
pub fn unread(socket: impl AsFd) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: TIOCOUTQ (the same number as SIOCOUTQ) writes one int behind the pointer, which is valid for that.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    if result == 0 { Ok(usize::try_from(count).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_the_peer_has_read_is_no_longer_counted() {
        let (mut here, mut there) = UnixStream::pair().expect("pair");
        assert_eq!(super::unread(&here).expect("a socket"), 0);
        here.write_all(b"hello").expect("write");
        assert!(super::unread(&here).expect("a socket") > 0);
        there.read_exact(&mut [0; 5]).expect("read");
        assert_eq!(super::unread(&here).expect("a socket"), 0);
    }
}
